/** A process of its own: mounts a layer, perhaps changes it, and unmounts it again. It is killed on the way. */
import { mkdirSync, unlinkSync, writeFileSync } from 'node:fs'
import { hostOf, parseLayerId } from '@graphdriver/core'
import aufs from '../src/index.ts'

const [root = '', change = ''] = process.argv.slice(2)
const driver = await aufs.open(hostOf(aufs, { root }))
const mount = await driver.get(parseLayerId('layer'))
if (change === 'change') {
  for (const name of ['b', 'd/y']) unlinkSync(`${mount.path}/${name}`)
  writeFileSync(`${mount.path}/a`, 'made again')
  mkdirSync(`${mount.path}/gone`)
}
await mount[Symbol.asyncDispose]()
process.exit(0)
