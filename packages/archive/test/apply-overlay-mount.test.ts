import { AT_FDCWD, mount, statx, umount } from '@graphdriver/sys'
import { afterAll, describe, expect, it } from 'vitest'
import { TreeWorkers } from '../src/index.ts'
import { describeTree } from './support/describe-tree.ts'
import { inChunks, type RawEntry, rawTar } from '@graphdriver/core/conformance'
import { isRoot, scratch } from './support/scratch.ts'

const workers = new TreeWorkers({ threads: 1 })
afterAll(() => workers[Symbol.asyncDispose]())

const at = { mtime: '1600000000.000000001' }

/** Each layer lists the directories it changes, as layers do. */
const layers: readonly (readonly RawEntry[])[] = [
  [
    { name: './', ...at },
    { name: 'bin/', ...at },
    { name: 'bin/su', data: 'su', mode: 0o4755, ...at },
    { name: 'bin/link', type: '1', link: 'bin/su', mode: 0o4755, ...at },
    { name: 'etc/', ...at },
    { name: 'etc/a', data: 'a', ...at },
    { name: 'etc/b', data: 'b', uid: 3, ...at },
    { name: 'var/', ...at },
    { name: 'var/cache/', ...at },
    { name: 'var/cache/old', data: 'old', ...at },
    { name: 'var/cache/dir/', ...at },
    { name: 'var/cache/dir/x', data: 'x', ...at },
    { name: 'tree/', ...at },
    { name: 'tree/lower', data: 'lower', ...at },
    { name: 'tree2/', ...at },
    { name: 'tree2/lower', data: 'lower', ...at },
    { name: 'becomes-file/', ...at },
    { name: 'becomes-file/x', ...at },
    { name: 'becomes-dir', data: 'file', ...at },
    { name: 'lib', type: '2', link: '/usr/lib', ...at },
    { name: 'usr/lib/', ...at },
    { name: 'null', type: '3', device: [1, 3], mode: 0o666, ...at },
  ],
  [
    { name: './', mode: 0o711, ...at },
    { name: 'etc/', ...at, mode: 0o700 },
    { name: 'etc/.wh.a' },
    { name: 'etc/b', data: 'new b', uid: 4, ...at },
    { name: 'var/', ...at },
    { name: 'var/cache/', ...at },
    { name: 'var/cache/.wh..wh..opq' },
    { name: 'var/cache/new', data: 'new', ...at },
    { name: '.wh.tree' },
    { name: 'tree/', ...at },
    { name: 'tree/upper', data: 'upper', ...at },
    { name: '.wh.tree2' },
    { name: 'becomes-file', data: 'a file', ...at },
    { name: 'becomes-dir/', ...at },
    { name: 'becomes-dir/x', data: 'x', ...at },
    { name: 'lib', type: '2', link: 'usr/lib', ...at },
    { name: 'usr/', ...at },
    { name: 'usr/lib/', ...at },
    { name: 'usr/lib/.wh.nothing' },
    { name: 'gone-at-once', data: 'x', ...at },
    { name: '.wh.gone-at-once' },
  ],
  [
    { name: './', mode: 0o755, ...at },
    { name: 'tree2/', ...at },
    { name: 'tree2/again', data: 'again', ...at },
    { name: 'etc/', ...at },
    { name: 'etc/a', data: 'a again', ...at },
    { name: '.wh.becomes-dir' },
  ],
]

describe.skipIf(!isRoot)('layers mounted by overlayfs (need root)', () => {
  it('look like the same layers merged one after another', async () => {
    await using dir = await scratch()
    // The root's own attributes are part of the comparison, so the trees are one level down.
    const merged = dir.directory('merged')
    const tops: string[] = []
    for (const [index, entries] of layers.entries()) {
      await workers.apply(merged, inChunks(rawTar(...entries), 999), { whiteouts: 'remove' })
      const top = dir.directory(`layer-${index}`)
      await workers.apply(top, inChunks(rawTar(...entries), 999), {
        whiteouts: { format: 'overlay', xattr: 'trusted' },
      })
      tops.unshift(top)
    }
    const view = dir.directory('view')
    mount({ source: 'overlay', target: view, type: 'overlay', data: `lowerdir=${tops.join(':')}` })
    try {
      expect(describeTree(view)).toEqual(describeTree(merged))
      expect(statx(AT_FDCWD, view)).toMatchObject({ mode: 0o40755, mtimeSec: 1_600_000_000, mtimeNsec: 1 })
    } finally {
      umount(view)
    }
  })
})
