/** Limits of writable layers from the command line: kept to, or refused with the way out. */
import { appendFileSync, writeFileSync } from 'node:fs'
import { filesystemRequirements, need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { demoRoot } from './data-root.ts'
import { demoName, graphdriver, succeed } from './graphdriver.ts'

const missing = need({ root: true, command: 'mkfs.ext4' }, ...filesystemRequirements('ext4'))
const mebibyte = Buffer.alloc(1024 * 1024, 1)

describe.skipIf(missing !== undefined)(`--storage-opt (${missing ?? 'as root'})`, () => {
  test('limits what is written to a layer, where the driver may use a file for it', async () => {
    await using root = await demoRoot()
    const place = ['--root', root.path, '--driver', 'overlay2', '--driver-option', 'quota=loop']
    const name = ['--name', 'sized', '--storage-opt', 'size=20M']
    const path = (await succeed([...place, 'mount', ...name, demoName])).trim()
    writeFileSync(`${path}/big`, mebibyte)
    expect(() => {
      for (let count = 1; count < 30; count++) appendFileSync(`${path}/big`, mebibyte)
    }).toThrow(expect.objectContaining({ code: 'ENOSPC' }))
    await succeed([...place, 'unmount', 'sized'])
    expect(await succeed([...place, 'changes', 'sized'])).toContain('/big')
    await succeed([...place, 'rm', 'sized'])
  })

  test.each([
    ['size=20M', /quota=loop/],
    ['size=much', /invalid size 'much'/],
    ['colour=blue', /colour/],
  ])('%s is refused with the reason, and nothing is made', async (option, reason) => {
    await using root = await demoRoot()
    const place = ['--root', root.path, '--driver', 'overlay2']
    const run = await graphdriver([...place, 'run', '--storage-opt', option, '--name', 'sized', demoName])
    expect(run.code).toBe(125)
    expect(run.stderr).toMatch(reason)
    expect((await graphdriver([...place, 'inspect', 'sized'])).code).not.toBe(0)
  })
})
