/** overlay2 where the kernel cannot mount, or must not: by fuse-overlayfs. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { hostOf } from '@graphdriver/core'
import { allCases } from '@graphdriver/core/conformance'
import { conformance } from '@graphdriver/core/conformance/vitest'
import { mount, umount } from '@graphdriver/sys'
import { filesystem, filesystemLab, need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import overlay2 from '../src/index.ts'
import { id, makeLayer, missing, openAt, openOn } from './open.ts'

const skipped = missing('ext4', 'tmpfs') ?? need({ command: 'fuse-overlayfs' })
const program = { mount_program: 'fuse-overlayfs' }

// What it does not do of the rest (README) is not overlay2's.
const areas = [
  'lifecycle',
  'apply',
  'changes',
  'sizes',
  'concurrency',
  'abort',
  'disposal',
  'errors',
  'leaks',
]

describe.skipIf(skipped !== undefined)(`a program that mounts (${skipped ?? 'as root'})`, () => {
  conformance(overlay2, {
    name: 'overlay2 with fuse-overlayfs',
    lab: filesystemLab('ext4'),
    options: program,
    cases: allCases.filter((one) => areas.some((area) => one.id.startsWith(`${area}/`))),
    module: new URL('../dist/index.js', import.meta.url),
  })

  test('is found by itself where the kernel takes no upper directory, and told of', async () => {
    await using place = await filesystem('tmpfs', { sizeMiB: 64, storage: 'memory' })
    const at = (name: string): string => path.join(place.path, name)
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(at(name))
    const data = `lowerdir=${at('lower')},upperdir=${at('upper')},workdir=${at('work')}`
    mount({ source: 'overlay', target: at('merged'), type: 'overlay', data })
    try {
      const probe = await overlay2.probe(hostOf(overlay2, { root: at('merged') }))
      expect(probe).toMatchObject({
        supported: true,
        notes: expect.arrayContaining([expect.stringContaining('fuse-overlayfs')]),
      })
      await using driver = await openAt(at('merged'))
      expect(Object.fromEntries(await driver.status())['Mount Program']).toMatch(/fuse-overlayfs$/)
      await makeLayer(driver, 'base', undefined, (tree) => writeFileSync(`${tree}/f`, 'f'))
      await makeLayer(driver, 'child', 'base', (tree) => rmSync(`${tree}/f`))
      await using mounted = await driver.get(id('child'))
      expect(readdirSync(mounted.path)).toEqual([])
    } finally {
      umount(at('merged'))
    }
  })

  test('may die: the next get mounts the layer again', async () => {
    await using place = await openOn('tmpfs')
    await using driver = await openAt(place.root, program)
    await makeLayer(driver, 'base', undefined, (tree) => writeFileSync(`${tree}/f`, 'f'))
    await driver.create(id('child'), { parent: id('base') })
    const dead = await driver.get(id('child'))
    execFileSync('pkill', ['-KILL', '-f', `fuse-overlayfs.*${dead.path}$`])
    await expect.poll(() => existsSync(`${dead.path}/f`)).toBe(false)
    await dead[Symbol.asyncDispose]()
    await using again = await driver.get(id('child'))
    expect(readFileSync(`${again.path}/f`, 'utf8')).toBe('f')
  })

  test('that is not there is refused by its name', async () => {
    await using place = await filesystem('tmpfs', { sizeMiB: 64, storage: 'memory' })
    const open = openAt(place.path, { mount_program: 'no-such-program' })
    await expect(open).rejects.toMatchObject({
      code: 'GD_DRIVER_UNSUPPORTED',
      message: expect.stringContaining('no-such-program is not installed'),
    })
    await expect(openAt(place.path, { mount_program: '' })).rejects.toMatchObject({
      code: 'GD_INVALID_OPTION',
      details: { option: 'mount_program' },
    })
    await expect(openAt(place.path, { mount_program: '/bin/false' })).rejects.toMatchObject({
      code: 'GD_DRIVER_UNSUPPORTED',
      message: expect.stringContaining('/bin/false'),
    })
  })
})
