import { existsSync, lstatSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { lgetxattr } from '@graphdriver/sys'
import { afterAll, describe, expect, it } from 'vitest'
import { type ApplyResult, TreeWorkers, type WhiteoutMode } from '../src/index.ts'
import { inChunks, type RawEntry, rawTar } from '@graphdriver/core/conformance'
import { isRoot, listTree, scratch } from './support/scratch.ts'

const workers = new TreeWorkers({ threads: 1 })
afterAll(() => workers[Symbol.asyncDispose]())

const overlay: WhiteoutMode = { format: 'overlay', xattr: 'trusted' }

function apply(root: string, whiteouts: WhiteoutMode, ...entries: readonly RawEntry[]): Promise<ApplyResult> {
  return workers.apply(root, inChunks(rawTar(...entries)), { whiteouts })
}

const words = (text: string): readonly string[] => text.split(' ')
const named = (...names: readonly string[]): readonly RawEntry[] => names.map((name) => ({ name }))

describe.skipIf(!isRoot)('whiteouts in a merged tree (needs root)', () => {
  it('applies four layers of whiteouts and opaque markers as moby does', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const layer = (...names: readonly string[]) => apply(root, 'remove', ...named(...names))
    await layer(
      ...words('.baz bar/ bar/bax bar/bay/ baz foo/ foo/.abc foo/.bcd/ foo/.bcd/a'),
      ...words('foo/cde/ foo/cde/def foo/cde/efg foo/fgh foobar'),
    )
    await layer('.bay', '.wh.baz', 'foo/', 'foo/.bce', 'foo/.wh..wh..opq', 'foo/cde/', 'foo/cde/efg')
    const second = [
      '.bay',
      '.baz',
      'bar/',
      'bar/bax',
      'bar/bay/',
      'foo/',
      'foo/.bce',
      'foo/cde/',
      'foo/cde/efg',
      'foobar',
    ]
    expect(listTree(root)).toEqual(second.toSorted())
    await layer('.bay', '.wh..baz', '.wh.foobar', 'foo/', 'foo/.abc', 'foo/.wh.cde', 'bar/')
    const third = ['.bay', 'bar/', 'bar/bax', 'bar/bay/', 'foo/', 'foo/.abc', 'foo/.bce']
    expect(listTree(root)).toEqual(third.toSorted())
    await layer('.abc', '.wh..wh..opq', 'foobar')
    expect(listTree(root)).toEqual(['.abc', 'foobar'])
  })

  it('keeps what the same layer put into an opaque directory, before or after the marker, deep down too', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    mkdirSync(path.join(root, 'd/sub/old'), { recursive: true })
    writeFileSync(path.join(root, 'd/sub/lower'), '')
    writeFileSync(path.join(root, 'd/lower'), '')
    await apply(root, 'remove', ...named('d/sub/before', 'd/.wh..wh..opq', 'd/after'))
    expect(listTree(root)).toEqual(['d/', 'd/after', 'd/sub/', 'd/sub/before'])
  })

  it('makes a directory anew that the same layer whited out', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    mkdirSync(path.join(root, 'd/lower'), { recursive: true })
    await apply(root, 'remove', ...named('.wh.d', 'd/', 'd/new'))
    expect(listTree(root)).toEqual(['d/', 'd/new'])
  })

  it('removes what the layer itself put there before its whiteout', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const result = await apply(root, 'remove', { name: 'x', data: 'four' }, { name: '.wh.x' })
    expect(listTree(root)).toEqual([])
    expect(result.contentBytes).toBe(0)
  })

  it('takes a whiteout of nothing for done', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(root, 'remove', ...named('.wh.nothing', 'a/b/.wh.nothing'))
    expect(listTree(root)).toEqual(['a/', 'a/b/'])
  })

  it('removes a symlink and not what it points to', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(root, 'remove', { name: 'd/' }, { name: 'd/x' }, { name: 'l', type: '2', link: 'd' })
    await apply(root, 'remove', ...named('.wh.l'))
    expect(listTree(root)).toEqual(['d/', 'd/x'])
  })

  it('passes over the bookkeeping of AUFS', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(
      root,
      'remove',
      ...named('.wh..wh.aufs', '.wh..wh.orph/', '.wh..wh.orph/x', 'd/.wh..wh.y', 'a'),
    )
    expect(listTree(root)).toEqual(['a'])
  })

  it.each(['remove' as const, overlay])(
    'gives AUFS pseudo-links their content, one inode for all (%o)',
    async (mode) => {
      await using dir = await scratch()
      const root = dir.directory('root')
      const result = await apply(
        root,
        mode,
        { name: '.wh..wh.plnk/', mode: 0o700 },
        { name: '.wh..wh.plnk/12.34', data: 'shared', mode: 0o640, mtime: '5' },
        { name: '.wh..wh.plnk/56.78', data: 'nobody wants this' },
        { name: 'one', type: '1', link: '.wh..wh.plnk/12.34', mode: 0o640, mtime: '5' },
        { name: 'd/two', type: '1', link: './.wh..wh.plnk/12.34', mode: 0o640, mtime: '5' },
      )
      expect(listTree(root)).toEqual(['d/', 'd/two', 'one'])
      expect(readFileSync(path.join(root, 'one'), 'utf8')).toBe('shared')
      expect(lstatSync(path.join(root, 'd/two')).ino).toBe(lstatSync(path.join(root, 'one')).ino)
      expect(result.contentBytes).toBe(6)
    },
  )

  it.each(['.wh.', 'd/.wh.', '.wh..', '.wh...', 'd/.wh...'])(
    'refuses the whiteout of no name %s',
    async (name) => {
      await using dir = await scratch()
      const root = dir.directory('root')
      writeFileSync(path.join(dir.path, 'neighbour'), 'safe')
      for (const mode of ['remove' as const, overlay]) {
        await expect(apply(root, mode, { name: 'd/' }, { name })).rejects.toMatchObject({
          code: 'GD_ARCHIVE_INVALID',
          details: { entry: name },
        })
      }
      expect(existsSync(path.join(root, 'd'))).toBe(true)
      expect(readFileSync(path.join(dir.path, 'neighbour'), 'utf8')).toBe('safe')
    },
  )
})

describe.skipIf(!isRoot)('whiteouts for overlayfs (needs root)', () => {
  const isWhiteout = (file: string): boolean => {
    const stat = lstatSync(file)
    return stat.isCharacterDevice() && stat.rdev === 0
  }
  const opaque = (file: string): string | undefined => lgetxattr(file, 'trusted.overlay.opaque')?.toString()

  it('records deletions as devices 0:0 and opaque directories by attribute', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(
      root,
      overlay,
      { name: 'd1/', mode: 0o700 },
      { name: 'd1/.wh..wh..opq' },
      { name: 'd1/f1', mode: 0o600 },
      { name: 'd2/.wh.gone', uid: 7, gid: 8 },
    )
    expect(listTree(root)).toEqual(['d1/', 'd1/f1', 'd2/', 'd2/gone'])
    expect(opaque(path.join(root, 'd1'))).toBe('y')
    expect(opaque(path.join(root, 'd2'))).toBeUndefined()
    expect(lstatSync(path.join(root, 'd1')).mode & 0o7777).toBe(0o700)
    expect(isWhiteout(path.join(root, 'd2/gone'))).toBe(true)
    expect(lstatSync(path.join(root, 'd2/gone'))).toMatchObject({ uid: 7, gid: 8, mode: 0o020000 })
  })

  it('lets the last of a name and its whiteout win', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const result = await apply(
      root,
      overlay,
      { name: 'x', data: '123' },
      { name: '.wh.x' },
      { name: '.wh.y' },
      { name: 'y', data: '45' },
      ...named('z/', 'z/in', '.wh.z', '.wh.x'),
    )
    expect(listTree(root)).toEqual(['x', 'y', 'z'])
    expect(isWhiteout(path.join(root, 'x'))).toBe(true)
    expect(isWhiteout(path.join(root, 'z'))).toBe(true)
    expect(readFileSync(path.join(root, 'y'), 'utf8')).toBe('45')
    expect(result.contentBytes).toBe(2)
  })

  it('makes a directory opaque that comes back after its whiteout, listed or implied', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(root, overlay, ...named('.wh.a', 'a/', 'a/new', '.wh.b', 'b/c/new', 'e', 'e/'))
    expect(listTree(root)).toEqual(['a/', 'a/new', 'b/', 'b/c/', 'b/c/new', 'e/'])
    for (const name of ['a', 'b', 'e']) expect(opaque(path.join(root, name))).toBe('y')
    expect(opaque(path.join(root, 'b/c'))).toBeUndefined()
  })

  it('passes over the bookkeeping of AUFS and attributes that only overlayfs may set', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(root, overlay, ...named('.wh..wh.aufs', '.wh..wh.plnk/'), {
      name: 'd/',
      pax: { 'SCHILY.xattr.trusted.overlay.opaque': 'y', 'SCHILY.xattr.user.note': 'kept' },
    })
    expect(listTree(root)).toEqual(['d/'])
    expect(opaque(path.join(root, 'd'))).toBeUndefined()
    expect(lgetxattr(path.join(root, 'd'), 'user.note')?.toString()).toBe('kept')
  })

  it('finds in the layers below what the tar leaves out', async () => {
    await using dir = await scratch()
    const lower = dir.directory('lower')
    await apply(
      lower,
      overlay,
      { name: 'tmp/', mode: 0o1777, uid: 5, mtime: '1000.5', pax: { 'SCHILY.xattr.user.note': 'kept' } },
      { name: 'usr/lib/' },
      { name: 'lib', type: '2', link: '/usr/lib' },
      { name: 'file' },
    )
    const root = dir.directory('root')
    const lowers = [dir.directory('between'), lower]
    const layer = (...entries: readonly RawEntry[]) =>
      workers.apply(root, inChunks(rawTar(...entries)), { whiteouts: overlay, lowers })
    await layer({ name: 'tmp/x' }, { name: 'lib/y' }, { name: 'z', type: '1', link: 'lib/y' })
    expect(listTree(root)).toEqual(['tmp/', 'tmp/x', 'usr/', 'usr/lib/', 'usr/lib/y', 'z'])
    const tmp = lstatSync(path.join(root, 'tmp'), { bigint: true })
    expect([tmp.mode & 0o7777n, tmp.uid, tmp.mtimeNs]).toEqual([0o1777n, 5n, 1_000_500_000_000n])
    expect(lgetxattr(path.join(root, 'tmp'), 'user.note')?.toString()).toBe('kept')
    await expect(layer({ name: 'file/x' })).rejects.toMatchObject({ code: 'GD_ARCHIVE_INVALID' })
  })

  it('leaves no whiteout where nothing is below, which the kernel would list', async () => {
    await using dir = await scratch()
    const lower = dir.directory('lower')
    await apply(lower, overlay, ...named('d/there', 'e/f/there'))
    const root = dir.directory('root')
    const entries = named(
      'd/.wh.there',
      'd/.wh.missing',
      '.wh.missing',
      'e/f/.wh.there',
      'e/.wh..wh..opq',
      'e/.wh.f',
    )
    await workers.apply(root, inChunks(rawTar(...entries)), { whiteouts: overlay, lowers: [lower] })
    expect(listTree(root)).toEqual(['d/', 'd/there', 'e/'])
    expect(isWhiteout(path.join(root, 'd/there'))).toBe(true)
  })

  it('hides everything below an opaque root name by name, as the kernel ignores the attribute there', async () => {
    await using dir = await scratch()
    const lower = dir.directory('lower')
    await apply(lower, overlay, ...named('gone', 'mine/old', 'also/old'))
    const root = dir.directory('root')
    const entries = named('mine/new', '.wh..wh..opq', 'also/new')
    await workers.apply(root, inChunks(rawTar(...entries)), { whiteouts: overlay, lowers: [lower] })
    expect(listTree(root)).toEqual(['also/', 'also/new', 'gone', 'mine/', 'mine/new'])
    expect(isWhiteout(path.join(root, 'gone'))).toBe(true)
    expect([opaque(path.join(root, 'mine')), opaque(path.join(root, 'also'))]).toEqual(['y', 'y'])
  })

  it('uses the user namespace of attributes where it is asked to', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(root, { format: 'overlay', xattr: 'user' }, ...named('d/.wh..wh..opq'))
    expect(lgetxattr(path.join(root, 'd'), 'user.overlay.opaque')?.toString()).toBe('y')
  })
})

describe.skipIf(!isRoot)('whiteouts kept (needs root)', () => {
  it('extracts every name as the file that it is', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    await apply(root, 'keep', ...named('x', '.wh.x', 'd/.wh..wh..opq', '.wh..wh.plnk/', '.wh..wh.aufs'))
    expect(listTree(root)).toEqual(['.wh..wh.aufs', '.wh..wh.plnk/', '.wh.x', 'd/', 'd/.wh..wh..opq', 'x'])
  })
})
