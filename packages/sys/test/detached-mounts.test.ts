import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { DetachedMounts, mount, openDetached, openFilesystem, readMountTable } from '../src/index.ts'
import { isRoot } from './scratch.ts'

const table = (): readonly number[] => readMountTable().map(({ id }) => id)

it.skipIf(!isRoot).each([
  [
    'made so',
    () =>
      openFilesystem('tmpfs', [
        ['source', 'made'],
        ['mode', '711'],
      ]),
  ],
  ['detached', () => openDetached((target) => mount({ source: 'made', target, type: 'tmpfs' }))],
])('a mount that is attached nowhere (%s) is shared while it is held (needs root)', async (_how, open) => {
  const before = table()
  const mounts = new DetachedMounts()
  const place = await mounts.hold('one', open)
  writeFileSync(path.join(place, 'file'), 'content')
  expect(await mounts.hold('one', () => Promise.reject(new Error('it is there')))).toBe(place)
  expect(table()).toEqual(before)
  expect(await mounts.release('one')).toBe(false)
  expect(readFileSync(path.join(place, 'file'), 'utf8')).toBe('content')
  expect(await mounts.release('one')).toBe(true)
  expect(existsSync(path.join(place, 'file'))).toBe(false)
})

it.skipIf(!isRoot)('what cannot be opened is not held (needs root)', async () => {
  const mounts = new DetachedMounts()
  await expect(mounts.hold('one', () => openFilesystem('nonesuch', []))).rejects.toThrow('ENODEV')
  const place = await mounts.hold('one', () => openFilesystem('tmpfs', []))
  expect(existsSync(place)).toBe(true)
  await mounts.releaseAll()
})
