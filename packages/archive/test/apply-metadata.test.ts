import { lstatSync, mkdirSync, readFileSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  lgetxattr,
  llistxattr,
  lsetxattr,
  mount,
  statx,
  umount,
} from '@graphdriver/sys'
import { filesystem, filesystemRequirements, need } from '@tooling/lab'
import { afterAll, describe, expect, it } from 'vitest'
import { type ApplyResult, TreeWorkers } from '../src/index.ts'
import { inChunks, type RawEntry, rawTar } from '@graphdriver/core/conformance'
import { isRoot, listTree, scratch } from './support/scratch.ts'

const workers = new TreeWorkers({ threads: 1 })
afterAll(() => workers[Symbol.asyncDispose]())

const apply = (root: string, ...entries: readonly RawEntry[]): Promise<ApplyResult> =>
  workers.apply(root, inChunks(rawTar(...entries), 1000), { whiteouts: 'remove' })

const times = (file: string): readonly [number, number] => {
  const stat = statx(AT_FDCWD, file, AT_SYMLINK_NOFOLLOW)
  return [stat.mtimeSec, stat.mtimeNsec]
}
const permissions = (file: string): number => lstatSync(file).mode & 0o7777

/** What `setcap cap_net_raw+ep` stores. */
const capability = Buffer.from('0100000200200000000000000000000000000000', 'hex')

const noXfs = need(...filesystemRequirements('xfs'))

it.skipIf(noXfs !== undefined)(
  `says of a device number that the filesystem cannot hold which one it is (${noXfs ?? 'as root'})`,
  async () => {
    await using volume = await filesystem('xfs', {})
    const entry = { name: 'dev/far', type: '3', device: [700, 1], mode: 0o600 } as const
    await expect(apply(volume.path, entry)).rejects.toMatchObject({
      code: 'GD_ARCHIVE_UNSUPPORTED',
      message: expect.stringContaining("'dev/far': this filesystem cannot hold device 700:1"),
    })
  },
)

describe.skipIf(!isRoot)('metadata of extracted entries (needs root)', () => {
  it('takes from a directory what its entry has not, and leaves what belongs to the host', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    mkdirSync(path.join(root, 'd'))
    for (const name of ['user.gone', 'user.kept', 'trusted.host']) {
      lsetxattr(path.join(root, 'd'), name, Buffer.from('old'))
    }
    await apply(root, { name: 'd/', type: '5', pax: { 'SCHILY.xattr.user.kept': 'new' } })
    expect(llistxattr(path.join(root, 'd')).toSorted()).toEqual(['trusted.host', 'user.kept'])
    expect(lgetxattr(path.join(root, 'd'), 'user.kept')?.toString()).toBe('new')
  })

  it.each(['remove', 'keep'] as const)(
    'leaves out what would instruct overlayfs (whiteouts: %s)',
    async (whiteouts) => {
      await using dir = await scratch()
      const root = dir.directory('root')
      const pax = { 'SCHILY.xattr.trusted.overlay.metacopy': '', 'SCHILY.xattr.user.overlay.opaque': 'y' }
      const tar = rawTar(
        { name: 'd/', type: '5', pax },
        { name: 'd/f', data: 'x', pax: { ...pax, 'SCHILY.xattr.user.kept': '1' } },
      )
      await workers.apply(root, inChunks(tar, 1000), { whiteouts })
      expect(llistxattr(path.join(root, 'd'))).toEqual([])
      expect(llistxattr(path.join(root, 'd/f'))).toEqual(['user.kept'])
    },
  )

  it('keeps owner, mode with set-id and sticky bits, and nanoseconds, of every type', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const owner = { uid: 1234, gid: 2_000_000, mtime: '1700000000.123456789' }
    await apply(
      root,
      { name: 'dir/', mode: 0o3775, ...owner },
      { name: 'dir/setuid', mode: 0o104755, data: 'x', ...owner },
      { name: 'dir/empty', mode: 0o000, ...owner },
      { name: 'dir/link', type: '2', link: 'nowhere', ...owner },
      { name: 'dir/fifo', type: '6', mode: 0o660, ...owner },
      { name: 'dir/char', type: '3', device: [12, 5], mode: 0o666, ...owner },
      { name: 'dir/block', type: '4', device: [12, 300], mode: 0o606, ...owner },
      { name: 'late', data: 'makes root newer' },
    )
    const modes = {
      '': 0o3775,
      setuid: 0o4755,
      empty: 0,
      fifo: 0o660,
      char: 0o666,
      block: 0o606,
      link: 0o777,
    }
    for (const [name, mode] of Object.entries(modes)) {
      const file = path.join(root, 'dir', name)
      expect([name, permissions(file)]).toEqual([name, mode])
      expect(lstatSync(file)).toMatchObject({ uid: 1234, gid: 2_000_000 })
      expect([name, ...times(file)]).toEqual([name, 1_700_000_000, 123_456_789])
    }
    const block = statx(AT_FDCWD, path.join(root, 'dir/block'), AT_SYMLINK_NOFOLLOW)
    expect([block.rdevMajor, block.rdevMinor]).toEqual([12, 300])
    expect(lstatSync(path.join(root, 'dir/fifo')).isFIFO()).toBe(true)
  })

  it('sets times before the epoch and far ahead', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(root, { name: 'old', mtime: '-1.5' }, { name: 'new', mtime: '8000000000' })
    expect(times(path.join(root, 'old'))).toEqual([-2, 500_000_000])
    expect(times(path.join(root, 'new'))).toEqual([8_000_000_000, 0])
  })

  it('applies the entry of the root to the root', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(root, { name: './', mode: 0o711, uid: 5, gid: 6, mtime: '1000.5' }, { name: './x' })
    expect(permissions(root)).toBe(0o711)
    expect(statSync(root)).toMatchObject({ uid: 5, gid: 6 })
    expect(times(root)).toEqual([1000, 500_000_000])
  })

  it('makes parents that are not listed root-owned and 0755, and gives those that were there their times back', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    mkdirSync(path.join(root, 'there'), { mode: 0o700 })
    utimesSync(path.join(root, 'there'), 1000, 2000)
    await apply(root, { name: 'foo/bar/x', uid: 77 }, { name: 'there/x' })
    expect(permissions(path.join(root, 'foo'))).toBe(0o755)
    expect(permissions(path.join(root, 'foo/bar'))).toBe(0o755)
    expect(statSync(path.join(root, 'foo/bar'))).toMatchObject({ uid: 0, gid: 0 })
    expect(permissions(path.join(root, 'there'))).toBe(0o700)
    expect(times(path.join(root, 'there'))).toEqual([2000, 0])
  })

  it('keeps file capabilities, which a change of owner would clear, also when a hard link follows', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const ping = { uid: 10, gid: 10, mode: 0o755 }
    await apply(
      root,
      { name: 'ping', data: 'x', ...ping, pax: { 'SCHILY.xattr.security.capability': capability } },
      { name: 'ping4', type: '1', link: 'ping', ...ping },
    )
    expect(lgetxattr(path.join(root, 'ping4'), 'security.capability')).toEqual(capability)
    expect(lstatSync(path.join(root, 'ping')).nlink).toBe(2)
  })

  it('keeps other attributes where they can be, and passes over those that cannot', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(
      root,
      { name: 'f', pax: { 'SCHILY.xattr.user.a': 'b', 'SCHILY.xattr.trusted.c': Buffer.from([0, 255]) } },
      {
        name: 'l',
        type: '2',
        link: 'f',
        pax: { 'SCHILY.xattr.user.a': 'no', 'SCHILY.xattr.trusted.d': 'e' },
      },
      { name: 'd/', pax: { 'SCHILY.xattr.user.a': 'on a directory' } },
    )
    expect(lgetxattr(path.join(root, 'f'), 'user.a')?.toString()).toBe('b')
    expect(lgetxattr(path.join(root, 'f'), 'trusted.c')).toEqual(Buffer.from([0, 255]))
    expect(lgetxattr(path.join(root, 'l'), 'trusted.d')?.toString()).toBe('e')
    expect(lgetxattr(path.join(root, 'd'), 'user.a')?.toString()).toBe('on a directory')
  })

  it('links a symlink itself, and leaves the metadata of its target alone', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(
      root,
      { name: 'file', mode: 0o600, mtime: '100' },
      { name: 'symlink1', type: '2', link: 'file', mode: 0o777, mtime: '200' },
      { name: 'symlink2', type: '1', link: 'symlink1', mode: 0o777, mtime: '200' },
      { name: 'symlink2', data: 'a file now' },
    )
    expect(permissions(path.join(root, 'file'))).toBe(0o600)
    expect(times(path.join(root, 'file'))).toEqual([100, 0])
    expect(listTree(root)).toEqual(['file', 'symlink1 -> file', 'symlink2'])
  })

  it('applies what a hard link states differently, and replaces what has its name', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(
      root,
      { name: 'a', data: '1', mode: 0o644, mtime: '100' },
      { name: 'b', data: 'in the way' },
      { name: 'b', type: '1', link: '/a', mode: 0o4711, uid: 9, mtime: '300' },
      { name: 'a', type: '1', link: 'a', mode: 0o4711, uid: 9, mtime: '300' },
    )
    expect(readFileSync(path.join(root, 'b'), 'utf8')).toBe('1')
    expect(permissions(path.join(root, 'a'))).toBe(0o4711)
    expect(lstatSync(path.join(root, 'a'))).toMatchObject({ uid: 9, nlink: 2 })
    expect(times(path.join(root, 'a'))).toEqual([300, 0])
  })

  it('refuses a hard link to what is not there', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await expect(apply(root, { name: 'x', type: '1', link: 'a/b' })).rejects.toMatchObject({
      code: 'GD_ARCHIVE_INVALID',
      details: { entry: 'x' },
    })
  })

  it('keeps names of any bytes and of any length', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const bytes = Buffer.from([0x66, 0xff, 0xfe, 0x6f])
    const long = `${'d'.repeat(200)}/${'f'.repeat(255)}`
    await apply(
      root,
      { name: Buffer.concat([bytes, Buffer.from('/')]) },
      { name: Buffer.concat([bytes, Buffer.from('/'), bytes]), data: 'bytes' },
      { name: Buffer.concat([bytes, Buffer.from('2')]), type: '2', link: bytes },
      { name: long, data: 'long' },
      { name: 'ümläut', data: 'utf8' },
    )
    const found = readdirSync(root, 'buffer').map((name) => name.toString('latin1'))
    expect(found.toSorted()).toEqual(
      [
        bytes.toString('latin1'),
        `${bytes.toString('latin1')}2`,
        'd'.repeat(200),
        Buffer.from('ümläut').toString('latin1'),
      ].toSorted(),
    )
    const inside = Buffer.concat([Buffer.from(`${root}/`), bytes, Buffer.from('/'), bytes])
    expect(readFileSync(inside, 'utf8')).toBe('bytes')
    expect(readFileSync(path.join(root, long), 'utf8')).toBe('long')
  })

  it('ignores global headers', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const result = await apply(
      root,
      { name: 'pax_global_header', type: 'g', pax: { comment: 'x' } },
      { name: 'a' },
    )
    expect(listTree(root)).toEqual(['a'])
    expect(result.entries).toBe(1)
  })

  it('treats contiguous files as files, and refuses types that no file has', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(root, { name: 'c', type: '7', data: 'contiguous' })
    expect(readFileSync(path.join(root, 'c'), 'utf8')).toBe('contiguous')
    await expect(apply(root, { name: 'v', type: 'V' })).rejects.toMatchObject({
      code: 'GD_ARCHIVE_UNSUPPORTED',
      details: { entry: 'v' },
    })
  })

  it('leaves the holes of sparse files empty', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const map = '2\n1048576\n4096\n8388608\n0\n'.padEnd(512, '\0')
    await apply(root, {
      name: 'GNUSparseFile.0/s',
      data: Buffer.concat([Buffer.from(map), Buffer.alloc(4096, 'd')]),
      pax: {
        'GNU.sparse.major': '1',
        'GNU.sparse.minor': '0',
        'GNU.sparse.name': 's',
        'GNU.sparse.realsize': '8388608',
      },
    })
    const stat = lstatSync(path.join(root, 's'))
    expect(stat.size).toBe(8_388_608)
    expect(stat.blocks * 512).toBeLessThan(1_048_576)
    const content = readFileSync(path.join(root, 's'))
    expect(content.subarray(1_048_576, 1_052_672).equals(Buffer.alloc(4096, 'd'))).toBe(true)
    expect(content.subarray(0, 1_048_576).every((byte) => byte === 0)).toBe(true)
  })

  it('counts what it left behind: replaced and linked files once', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    writeFileSync(path.join(root, 'lower'), 'was there before')
    const result = await apply(
      root,
      { name: 'a', data: '12345' },
      { name: 'a', data: '123' },
      { name: 'b', type: '1', link: 'a' },
      { name: 'l', type: '2', link: 'to' },
      { name: 'd/gone', data: '1234567' },
      { name: 'd', data: '1' },
      { name: '.wh.lower' },
    )
    expect(result).toEqual({
      entries: 7,
      tarBytes: 5 + 3 + 7 + 1,
      contentBytes: 3 + 2 + 1,
      hasRoot: false,
      skippedDevices: 0,
    })
  })

  it('counts a file as long as one of its links is there', async () => {
    await using dir = await scratch()
    const link: RawEntry = { name: 'b', type: '1', link: 'a' }
    const still = await apply(dir.directory('one'), { name: 'a', data: '12345' }, link, {
      name: 'a',
      data: '1',
    })
    expect(still.contentBytes).toBe(6)
    const gone = await apply(
      dir.directory('two'),
      { name: 'a', data: '12345' },
      link,
      { name: '.wh.a' },
      { name: '.wh.b' },
    )
    expect(gone.contentBytes).toBe(0)
  })

  it('refuses to lose file capabilities on a filesystem without them, and loses the rest', async () => {
    await using dir = await scratch()
    const bare = dir.directory('bare')
    mount({ source: 'gd-bare', target: bare, type: 'ramfs' })
    try {
      await apply(bare, { name: 'note', pax: { 'SCHILY.xattr.user.note': 'lost' } })
      const ping: RawEntry = { name: 'ping', pax: { 'SCHILY.xattr.security.capability': capability } }
      await expect(apply(bare, ping)).rejects.toMatchObject({
        code: 'GD_ARCHIVE_UNSUPPORTED',
        details: { entry: 'ping' },
      })
    } finally {
      umount(bare)
    }
  })

  it('replaces anything by anything', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const kinds: readonly RawEntry[] = [
      { name: 'x', data: 'file' },
      { name: 'x/' },
      { name: 'x', type: '2', link: '/' },
      { name: 'x', type: '6' },
      { name: 'x', type: '3', device: [1, 3] },
      { name: 'x', type: '1', link: 'other' },
    ]
    for (const before of kinds) {
      for (const after of kinds) {
        await apply(root, { name: 'other' }, before, after)
        const stat = lstatSync(path.join(root, 'x'))
        const type = after.type ?? (after.name === 'x/' ? '5' : '0')
        expect([before, after, stat.isDirectory()]).toEqual([before, after, type === '5'])
        expect(stat.isSymbolicLink()).toBe(type === '2')
        expect(stat.isFIFO()).toBe(type === '6')
        expect(stat.isCharacterDevice()).toBe(type === '3')
      }
    }
  })

  it('keeps a directory that is there already, with what is in it', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    mkdirSync(path.join(root, 'd'))
    writeFileSync(path.join(root, 'd/lower'), '')
    lsetxattr(path.join(root, 'd'), 'user.kept', Buffer.from('1'))
    await apply(root, { name: 'd/', mode: 0o2750, gid: 3, mtime: '50' })
    expect(listTree(root)).toEqual(['d/', 'd/lower'])
    expect(permissions(path.join(root, 'd'))).toBe(0o2750)
    expect(times(path.join(root, 'd'))).toEqual([50, 0])
  })
})
