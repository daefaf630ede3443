/** A process of its own: `victim.ts use` makes a layer, writes in it and removes another, and is killed on the way. */
import { writeFileSync } from 'node:fs'
import { id } from '@tooling/lab'
import { open } from './place.ts'

const driver = await open()
if (process.argv[2] === 'use') {
  await driver.create(id('new'), { parent: id('kept') })
  const mount = await driver.get(id('new'))
  writeFileSync(`${mount.path}/new`, 'new')
  await mount[Symbol.asyncDispose]()
  await driver.remove(id('gone'))
} else console.log(JSON.stringify(await driver.changes(id('child'), id('image'))))
await driver.cleanup()
process.exit(0)
