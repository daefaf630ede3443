/** A process of its own that does with layers what a runtime does, once each. It is killed on the way. */
import { writeFileSync } from 'node:fs'
import { hostOf, loadDriver, parseLayerId } from '@graphdriver/core'

const [root = '', name = ''] = process.argv.slice(2)
const definition = await loadDriver(name)
const driver = await definition.open(hostOf(definition, { root }))
const [image, layer, made] = ['image', 'layer', 'made'].map(parseLayerId)
if (image === undefined || layer === undefined || made === undefined) throw new Error('three ids')
const mount = await driver.get(layer)
writeFileSync(`${mount.path}/new`, 'new')
await mount[Symbol.asyncDispose]()
await driver.createReadWrite(made, { parent: image })
await (await driver.get(made))[Symbol.asyncDispose]()
await driver.remove(made)
process.exit(0)
