import { existsSync, mkdirSync, readFileSync, statfsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import {
  type FilesystemKind,
  filesystemKinds,
  filesystemLab,
  filesystemRequirements,
  need,
} from '../src/index.ts'

function whyNot(kind: FilesystemKind): string | undefined {
  return need(...filesystemRequirements(kind), { command: 'umount' })
}

test.for(filesystemKinds)(
  'places of a lab share one %s, and all of it goes with the lab (root)',
  async (kind, { skip }) => {
    const missing = whyNot(kind)
    skip(missing !== undefined, missing)
    const lab = filesystemLab(kind)
    const [one, two] = [await lab.place(), await lab.place()]
    writeFileSync(path.join(one.path, 'file'), '')
    expect(existsSync(path.join(two.path, 'file'))).toBe(false)
    expect(path.dirname(one.path)).toBe(path.dirname(two.path))
    const { stdout } = await execa('stat', ['--file-system', '--format=%T', one.path])
    expect(stdout).toBe(kind === 'ext4' ? 'ext2/ext3' : kind)
    await one[Symbol.asyncDispose]()
    expect(existsSync(one.path)).toBe(false)
    expect(existsSync(two.path)).toBe(true)
    await two[Symbol.asyncDispose]()
    await lab[Symbol.asyncDispose]()
    expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(path.dirname(one.path))
  },
)

test.for(filesystemKinds)(
  'a small %s can be filled, a read-only one takes nothing (root)',
  async (kind, { skip }) => {
    const missing = whyNot(kind)
    skip(missing !== undefined, missing)
    await using lab = filesystemLab(kind)
    {
      await using small = await lab.volume({ kind: 'small' })
      const { bsize, bavail } = statfsSync(small.path)
      expect(bsize * bavail).toBeLessThan(310 << 20)
      expect(() =>
        writeFileSync(path.join(small.path, 'too-much'), Buffer.alloc(bsize * (bavail + 4096))),
      ).toThrow(/ENOSPC/)
    }
    await using fixed = await lab.volume({ kind: 'read-only' })
    expect(() => mkdirSync(path.join(fixed.path, 'new'))).toThrow(/EROFS/)
  },
)

const limited = filesystemKinds.filter((kind) => kind !== 'btrfs')

test.for(limited)('a %s with few inodes runs out of them first (root)', async (kind, { skip }) => {
  const missing = whyNot(kind)
  skip(missing !== undefined, missing)
  await using lab = filesystemLab(kind)
  await using place = await lab.volume({ kind: 'few-inodes' })
  const { ffree, bavail, bsize } = statfsSync(place.path)
  expect(ffree).toBeLessThan(10_000)
  expect(() => {
    // XFS counts by chunks of 64, and by processor.
    for (let index = 0; index <= ffree + 1024; index++)
      writeFileSync(path.join(place.path, String(index)), '')
  }).toThrow(/ENOSPC/)
  const left = statfsSync(place.path)
  expect(left.bavail * bsize).toBeGreaterThan((bavail * bsize) / 2)
})

test('btrfs has no limit of inodes, and says so (root)', async ({ skip }) => {
  const missing = whyNot('btrfs')
  skip(missing !== undefined, missing)
  await using lab = filesystemLab('btrfs')
  await expect(lab.volume({ kind: 'few-inodes' })).rejects.toThrow('btrfs has no limit of inodes')
})
