/** Mounts with other owners. What drivers make of them is in the conformance suite. */
import { closeSync, lchownSync, lstatSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { isMountPoint, mount, mappedMounts, openMapped, readMountTable, type IdRanges } from '../src/index.ts'
import { mountAttached } from '../src/overlayfs/mapped.ts'
import { isRoot, scratch } from './scratch.ts'

const from = (outside: number): IdRanges => ({
  uids: [
    { inside: 0, outside, count: 100 },
    { inside: 4_294_967_294, outside: 0, count: 1 },
  ],
  gids: [
    { inside: 0, outside: outside + 500, count: 100 },
    { inside: 4_294_967_294, outside: 0, count: 1 },
  ],
})

function ownerOf(file: string): string {
  const { uid, gid } = lstatSync(file)
  return `${uid}:${gid}`
}

it.skipIf(!isRoot)('a directory is shown by many maps, one after another (needs root)', async () => {
  using place = scratch()
  mkdirSync(place.at('source'))
  writeFileSync(place.at('source', 'file'), '')
  lchownSync(place.at('source', 'file'), 7, 8)
  mkdirSync(place.at('target'))
  // More than there are namespaces kept; and all of them asked for at once.
  const maps = Array.from({ length: 20 }, (_, index) => from(10_000 * (index + 1)))
  const trees = await Promise.all(maps.map((ids) => openMapped(place.at('source'), ids)))
  for (const [index, tree] of trees.entries()) {
    const outside = 10_000 * (index + 1)
    expect(ownerOf(`/proc/self/fd/${tree}/file`)).toBe(`${outside + 7}:${outside + 508}`)
    closeSync(tree)
  }
  expect(await mappedMounts.mount(place.at('source'), place.at('target'), from(10_000))).toBe(true)
  expect(await mappedMounts.mount(place.at('source'), place.at('target'), from(20_000))).toBe(false)
  expect(ownerOf(place.at('target', 'file'))).toBe('10007:10508')
  mappedMounts.unmount(place.at('target'))
  expect(isMountPoint(place.at('target'))).toBe(false)
})

it.skipIf(!isRoot)(
  'what cannot be mapped says so, and another map can be had after it (needs root)',
  async () => {
    using place = scratch()
    const before = readMountTable().length
    await expect(openMapped(place.at('absent'), from(10_000))).rejects.toThrow('ENOENT')
    await expect(openMapped('/proc', from(10_000))).rejects.toThrow('EINVAL')
    const none = { uids: [], gids: [] }
    await expect(openMapped(place.path, none)).rejects.toThrow(/E(?:INVAL|PERM)/)
    closeSync(await openMapped(place.path, from(10_000)))
    expect(readMountTable().length).toBe(before)
  },
)

it.skipIf(!isRoot)(
  'kernels that stack only what is mounted somewhere are shown it for as long as they stack (needs root)',
  async () => {
    using place = scratch()
    for (const name of ['home/lower', 'home/upper', 'home/work', 'merged'])
      mkdirSync(place.at(name), { recursive: true })
    writeFileSync(place.at('home/lower/file'), '')
    lchownSync(place.at('home/lower/file'), 1, 2)
    const tree = await openMapped(place.at('home'), from(30_000))
    const before = readMountTable().length
    const point = {
      home: place.at('home'),
      target: place.at('merged'),
      lock: place.at('home/work'),
      appendsLower: true,
    }
    const stack = { lower: ['lower'], upper: { diff: 'upper', work: 'work' }, options: [] }
    try {
      expect(await mountAttached(point, stack, tree)).toBe(true)
    } finally {
      closeSync(tree)
    }
    expect(readMountTable().length).toBe(before + 1)
    expect(ownerOf(place.at('merged/file'))).toBe('30001:30502')
    mkdirSync(place.at('merged/made'))
    lchownSync(place.at('merged/made'), 30_003, 30_504)
    expect([readdirSync(place.at('home/upper')), ownerOf(place.at('home/upper/made'))]).toEqual([
      ['made'],
      '3:4',
    ])
  },
)

it.skipIf(!isRoot)(
  'an overlay cannot be mapped itself, which is why its layers are (needs root)',
  async () => {
    using place = scratch()
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(place.at(name))
    const data = `lowerdir=${place.at('lower')},upperdir=${place.at('upper')},workdir=${place.at('work')}`
    mount({ source: 'overlay', target: place.at('merged'), type: 'overlay', data })
    await expect(openMapped(place.at('merged'), from(10_000))).rejects.toThrow('EINVAL')
  },
)
