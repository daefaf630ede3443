/** A process of its own that makes a layer, writes in it, and removes another. It is killed on the way. */
import { type DriverOptions, hostOf, parseLayerId } from '@graphdriver/core'
import { writeFileSync } from 'node:fs'
import devicemapper from '../../dist/index.js'

const [root = '', options = '{}'] = process.argv.slice(2)
process.removeAllListeners('warning')
const host = hostOf(devicemapper, { root, options: JSON.parse(options) as DriverOptions })
const driver = await devicemapper.open(host)
const id = parseLayerId('new')
await driver.create(id, { parent: parseLayerId('kept') })
const mount = await driver.get(id)
writeFileSync(`${mount.path}/new`, 'new')
await mount[Symbol.asyncDispose]()
await driver.remove(parseLayerId('gone'))
await driver.cleanup()
process.exit(0)
