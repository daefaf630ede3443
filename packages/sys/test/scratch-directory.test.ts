import { mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import {
  abandonedScratch,
  ensureDirectory,
  existingAncestors,
  makeScratch,
  mount,
  moveToScratch,
  reapProbes,
} from '../src/index.ts'
import { isRoot, scratch } from './scratch.ts'

const linux = process.platform === 'linux'

it.skipIf(!linux)('a scratch directory is nobody else’s until it is let go (needs Linux)', () => {
  using home = scratch()
  const made = makeScratch(home.path, 'work', 0o751)
  expect(statSync(made.path).mode & 0o777).toBe(0o751)
  expect([...abandonedScratch(home.path, 'work')]).toEqual([])
  made[Symbol.dispose]()
  expect([...abandonedScratch(home.path, 'other')]).toEqual([])
  expect([...abandonedScratch(home.path, 'work', 4_000_000)]).toEqual([])
  expect([...abandonedScratch(home.path, 'work', process.geteuid?.())].map((found) => found.path)).toEqual([
    made.path,
  ])
})

it.skipIf(!linux)(
  'a directory that is moved away is gone from its place with what is in it (needs Linux)',
  () => {
    using home = scratch()
    const layer = path.join(home.path, 'layer')
    mkdirSync(layer)
    writeFileSync(path.join(layer, 'file'), '')
    using moved = moveToScratch(layer, 'work')
    expect(readdirSync(home.path)).toEqual([path.basename(moved?.path ?? '')])
    expect(readdirSync(moved?.path ?? '')).toEqual(['file'])
    expect(moveToScratch(layer, 'work')).toBeUndefined()
  },
)

it('a directory that is ensured has its mode, whether it was there or not', () => {
  using home = scratch()
  const directory = path.join(home.path, 'd')
  for (const mode of [0o710, 0o777, 0o700]) {
    ensureDirectory(directory, mode)
    expect(statSync(directory).mode & 0o777).toBe(mode)
  }
  writeFileSync(path.join(home.path, 'file'), '')
  expect(() => ensureDirectory(path.join(home.path, 'file', 'd'), 0o700)).toThrow('ENOTDIR')
})

it('what exists of a path is told nearest first, without symlinks', () => {
  using home = scratch()
  mkdirSync(path.join(home.path, 'real'))
  symlinkSync('real', path.join(home.path, 'link'))
  const [nearest, next] = existingAncestors(path.join(home.path, 'link', 'not', 'there'))
  expect([nearest, next]).toEqual([path.join(home.path, 'real'), home.path])
})

it.skipIf(!isRoot)('what a killed probe left is gone, with what is mounted in it (needs root)', () => {
  using root = scratch()
  using alive = makeScratch(root.path, 'probe', 0o700)
  const { path: left } = ((): { readonly path: string } => {
    using made = makeScratch(root.path, 'probe', 0o700)
    return made
  })()
  mkdirSync(path.join(left, 'merged'))
  mount({ source: 'probe', target: path.join(left, 'merged'), type: 'tmpfs' })
  reapProbes(path.join(root.path, 'vfs'))
  expect(readdirSync(root.path)).toEqual([path.basename(alive.path)])
})
