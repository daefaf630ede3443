import { existsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { stamps } from '@graphdriver/core/conformance'
import { need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { demoRoot, emptyRoot } from './data-root.ts'
import { demoImage, demoName, graphdriver, succeed } from './graphdriver.ts'

const missing = need({ root: true })

describe.skipIf(missing !== undefined)(`--read-only (${missing ?? 'as root'})`, () => {
  test('what there is is told as ever, and nothing in the root is other than before', async () => {
    await using root = await demoRoot()
    const at = ['--root', root.path]
    const mounted = (await succeed([...at, 'mount', demoName, '--name', 'box'])).trim()
    writeFileSync(path.join(mounted, 'written'), 'written')
    await succeed([...at, 'unmount', 'box'])
    const looks = [
      ['images'],
      ['layers'],
      ['layers', demoName],
      ['changes', 'box'],
      ['inspect', demoName],
      ['inspect', 'box'],
      ['diff', 'box'],
      ['diff', demoName],
    ]
    const told = await Promise.all(looks.map((look) => succeed([...at, ...look])))
    const before = stamps(root.path)
    const again = await Promise.all(looks.map((look) => succeed([...at, '--read-only', ...look])))
    await succeed([...at, 'info', '--read-only'])
    expect(stamps(root.path)).toEqual(before)
    expect(again).toEqual(told)
  })

  test.for([
    ['load', demoImage],
    ['rmi', demoName],
    ['run', demoName, 'true'],
    ['mount', demoName],
    ['mount', 'box'],
    ['unmount', 'box'],
    ['rm', 'box'],
  ])('%j is refused', async (command) => {
    await using root = await demoRoot()
    await succeed(['--root', root.path, 'mount', demoName, '--name', 'box'])
    await succeed(['--root', root.path, 'unmount', 'box'])
    const before = stamps(root.path)
    const { code, stderr } = await graphdriver(['--root', root.path, '--read-only', ...command])
    expect(code).toBe(command[0] === 'run' ? 125 : 1)
    expect(stderr).toMatch(/leave out --read-only .* \[GD_READ_ONLY\]$/m)
    expect(stamps(root.path)).toEqual(before)
  })

  test('where nothing is, nothing is made', async () => {
    await using root = await emptyRoot()
    await succeed(['--root', root.path, '--read-only', 'images'])
    const { code, stderr } = await graphdriver(['--root', root.path, '--read-only', 'load', demoImage])
    expect([code, stderr]).toEqual([1, expect.stringContaining('GD_READ_ONLY')])
    expect(existsSync(root.path)).toBe(false)
  })

  test.for(['docker-plugin', 'containerd-snapshotter'])('%s does not serve so', async (command) => {
    const { code, stderr } = await graphdriver(['--read-only', '--driver', 'vfs', command])
    expect([code, stderr]).toEqual([2, expect.stringContaining('leave out --read-only')])
  })
})
