import { lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { mkdir, rename, rm, symlink } from 'node:fs/promises'
import path from 'node:path'
import { isGraphDriverError } from '@graphdriver/core'
import { afterAll, describe, expect, it } from 'vitest'
import { TreeWorkers, type WhiteoutMode } from '../src/index.ts'
import { inChunks, type RawEntry, rawTar } from '@graphdriver/core/conformance'
import { isRoot, listTree, type Scratch, scratch } from './support/scratch.ts'

const workers = new TreeWorkers({ threads: 2 })
afterAll(() => workers[Symbol.asyncDispose]())

const modes: readonly WhiteoutMode[] = ['remove', 'keep', { format: 'overlay', xattr: 'trusted' }]

/** A root with a directory beside it that nothing may touch. */
async function besideVictim(): Promise<Scratch & { readonly root: string; readonly victim: string }> {
  const dir = await scratch()
  const victim = dir.directory('victim')
  writeFileSync(path.join(victim, 'hello'), 'hello of the victim')
  return Object.assign(dir, { root: dir.directory('dest'), victim })
}

/** What an extraction did: how it ended, what became of the victim, and every content that is now inside. */
interface Outcome {
  readonly failure: unknown
  readonly victim: readonly string[]
  readonly inside: readonly string[]
}

/** Extraction may fail with an error of ours, or put everything inside; nothing else. */
const harmless = (outcome: Outcome): boolean =>
  (outcome.failure === undefined || isGraphDriverError(outcome.failure)) &&
  outcome.victim.join() === 'hello,hello of the victim' &&
  !outcome.inside.includes('hello of the victim')

async function attempt(
  at: { readonly root: string; readonly victim: string },
  whiteouts: WhiteoutMode,
  archive: readonly RawEntry[],
): Promise<Outcome> {
  const failure: unknown = await workers
    .apply(at.root, inChunks(rawTar(...archive), 700), { whiteouts })
    .then(
      () => undefined,
      (error: unknown) => error,
    )
  const files = listTree(at.root).filter((name) =>
    lstatSync(path.join(at.root, name), { throwIfNoEntry: false })?.isFile(),
  )
  return {
    failure,
    victim: [...listTree(at.victim), readFileSync(path.join(at.victim, 'hello'), 'utf8')],
    inside: files.map((name) => readFileSync(path.join(at.root, name), 'utf8')),
  }
}

const hole = (type: '1' | '2', link: string): RawEntry => ({ name: 'loophole-victim', type, link })

/** moby's archives: six by hard links and six by symlinks. */
function loopholes(type: '1' | '2'): Readonly<Record<string, readonly RawEntry[]>> {
  return {
    'to a file by ../': [{ name: 'dotdot', type, link: '../victim/hello' }],
    'to a file by /../': [{ name: 'slash-dotdot', type, link: '/../victim/hello' }],
    'to the directory, and a file through it': [
      hole(type, '../victim'),
      { name: 'loophole-victim/file', data: 'written' },
    ],
    'to the directory, and a link through it': [
      hole(type, '../victim'),
      { name: 'symlink', type: '2', link: 'loophole-victim/hello' },
      { name: 'symlink', data: 'written' },
    ],
    'to the directory, and a hard link through it': [
      hole(type, '../victim'),
      { name: 'hardlink', type: '1', link: 'loophole-victim/hello' },
    ],
    'to the directory, replaced by a file': [
      hole(type, '../victim'),
      { name: 'loophole-victim', data: 'a file in its place' },
    ],
  }
}

const names: Readonly<Record<string, readonly RawEntry[]>> = {
  '../ in a file name': [{ name: '../victim/dotdot', data: 'x' }],
  '../ after a directory': [{ name: 'a/../../victim/dotdot', data: 'x' }],
  '/../ in a file name': [{ name: '/../victim/slash-dotdot', data: 'x' }],
  '../ in a directory name': [{ name: '../victim/dir/' }],
  '../ in a whiteout': [{ name: '../victim/.wh.hello' }],
  '../ in an opaque marker': [{ name: '../victim/.wh..wh..opq' }],
  'a whiteout through a symlink': [hole('2', '../victim'), { name: 'loophole-victim/.wh.hello' }],
  'an opaque marker through a symlink': [hole('2', '../victim'), { name: 'loophole-victim/.wh..wh..opq' }],
  'a directory over a symlink': [hole('2', '../victim'), { name: 'loophole-victim/', mode: 0o700 }],
  'a symlink through a symlink': [
    hole('2', '..'),
    { name: 'again', type: '2', link: 'loophole-victim/victim' },
    { name: 'again/hello', data: 'written' },
  ],
  'an AUFS pseudo-link outside': [
    { name: '.wh..wh.plnk/../../victim/hello', data: 'x' },
    { name: 'x', type: '1', link: '.wh..wh.plnk/../../victim/hello' },
  ],
}

describe
  .skipIf(!isRoot)
  .each(modes.map((mode) => [typeof mode === 'string' ? mode : 'overlay', mode] as const))(
  'a hostile archive, whiteouts %s (needs root)',
  (_label, mode) => {
    it.each(Object.entries(loopholes('1')))('cannot leave by a hard link %s', async (_title, archive) => {
      await using at = await besideVictim()
      const outcome = await attempt(at, mode, archive)
      expect(outcome).toSatisfy(harmless)
      expect(isGraphDriverError(outcome.failure, 'GD_ARCHIVE_BREAKOUT', 'GD_ARCHIVE_INVALID')).toBe(true)
    })

    it.each(Object.entries(loopholes('2')))('cannot leave by a symlink %s', async (_title, archive) => {
      await using at = await besideVictim()
      expect(await attempt(at, mode, archive)).toSatisfy(harmless)
    })

    it.each(Object.entries(names))('cannot leave by %s', async (_title, archive) => {
      await using at = await besideVictim()
      expect(await attempt(at, mode, archive)).toSatisfy(harmless)
    })

    it('cannot leave through a symlink that was in the tree before, absolute or not', async () => {
      await using at = await besideVictim()
      symlinkSync(at.victim, path.join(at.root, 'absolute'))
      symlinkSync('../victim', path.join(at.root, 'relative'))
      symlinkSync('/proc/self/root', path.join(at.root, 'magic'))
      const outcome = await attempt(at, mode, [
        { name: 'absolute/hello', data: 'inside' },
        { name: 'relative/hello', data: 'inside' },
        { name: `magic/${at.victim}/hello`, data: 'inside' },
        { name: 'absolute/.wh.hello' },
        { name: 'relative/.wh..wh..opq' },
      ])
      expect(outcome).toSatisfy(harmless)
    })

    it('finds the mounted directory itself where the root is reached through a symlink', async () => {
      await using at = await besideVictim()
      const alias = path.join(at.path, 'alias')
      symlinkSync(at.root, alias)
      await workers.apply(alias, inChunks(rawTar({ name: 'x', data: '1' })), { whiteouts: mode })
      expect(listTree(at.root)).toEqual(['x'])
    })
  },
)

describe.skipIf(!isRoot)('paths (need root)', () => {
  it('names the entry that would break out', async () => {
    await using at = await besideVictim()
    const apply = (...entries: readonly RawEntry[]) =>
      workers.apply(at.root, inChunks(rawTar(...entries)), { whiteouts: 'remove' })
    await expect(apply({ name: '../x' })).rejects.toMatchObject({
      code: 'GD_ARCHIVE_BREAKOUT',
      details: { entry: '../x' },
    })
    await expect(apply({ name: 'l', type: '1', link: '../y' })).rejects.toMatchObject({
      code: 'GD_ARCHIVE_BREAKOUT',
      details: { entry: 'l', target: '../y' },
    })
  })

  it('takes a name that only begins like a climb for what it is', async () => {
    await using at = await besideVictim()
    await workers.apply(at.root, inChunks(rawTar({ name: '..gitme' }, { name: './a/./b//c' })), {
      whiteouts: 'remove',
    })
    expect(listTree(at.root)).toEqual(['..gitme', 'a/', 'a/b/', 'a/b/c'])
  })

  it('follows symlinks inside of the image as a chroot would, absolute, climbing and dangling ones', async () => {
    await using at = await besideVictim()
    await workers.apply(
      at.root,
      inChunks(
        rawTar(
          { name: 'usr/lib/' },
          { name: 'lib', type: '2', link: '/usr/lib' },
          { name: 'lib/x', data: '1' },
          { name: 'deep/down', type: '2', link: '../../../../usr' },
          { name: 'deep/down/lib/y', data: '2' },
          { name: 'z', type: '1', link: 'lib/x' },
          { name: 'deep/absolute', type: '2', link: '/usr/lib' },
          { name: 'deep/absolute/w' },
          { name: 'run', type: '2', link: '/var/run' },
          { name: 'run/pid', data: '3' },
        ),
      ),
      { whiteouts: 'remove' },
    )
    const expected = [
      'deep/',
      'deep/absolute -> /usr/lib',
      'deep/down -> ../../../../usr',
      'lib -> /usr/lib',
      'run -> /var/run',
      'usr/',
      'usr/lib/',
    ]
    expected.push('usr/lib/w', 'usr/lib/x', 'usr/lib/y', 'var/', 'var/run/', 'var/run/pid', 'z')
    expect(listTree(at.root)).toEqual(expected)
  })

  it('refuses a loop of symlinks and a file in the place of a directory', async () => {
    await using at = await besideVictim()
    const apply = (...entries: readonly RawEntry[]) =>
      workers.apply(at.root, inChunks(rawTar(...entries)), { whiteouts: 'remove' })
    const loop: readonly RawEntry[] = [
      { name: 'a', type: '2', link: 'b' },
      { name: 'b', type: '2', link: 'a' },
      { name: 'a/x' },
    ]
    await expect(apply(...loop)).rejects.toMatchObject({
      code: 'GD_ARCHIVE_INVALID',
      details: { entry: 'a/x' },
    })
    await expect(apply({ name: 'f' }, { name: 'f/x' })).rejects.toMatchObject({
      code: 'GD_ARCHIVE_INVALID',
      details: { entry: 'f/x' },
    })
    await expect(apply({ name: './', type: '0' })).rejects.toMatchObject({ code: 'GD_ARCHIVE_INVALID' })
  })

  it('notices that the way to a directory has changed in the middle', async () => {
    await using at = await besideVictim()
    await workers.apply(
      at.root,
      inChunks(
        rawTar(
          { name: 'one/' },
          { name: 'two/' },
          { name: 'way', type: '2', link: 'one' },
          { name: 'way/a' },
          { name: 'way', type: '2', link: 'two' },
          { name: 'way/a' },
          { name: 'dir/b' },
          { name: 'dir', type: '2', link: 'one' },
          { name: 'dir/b' },
        ),
      ),
      { whiteouts: 'remove' },
    )
    const expected = ['dir -> one', 'one/', 'one/a', 'one/b', 'two/', 'two/a', 'way -> two']
    expect(listTree(at.root)).toEqual(expected)
  })

  it('refuses a hard link that takes the place of the way to its target', async () => {
    await using at = await besideVictim()
    const apply = (...entries: readonly RawEntry[]) =>
      workers.apply(at.root, inChunks(rawTar(...entries)), { whiteouts: 'remove' })
    const expected = { code: 'GD_ARCHIVE_INVALID', details: { entry: 'way' } }
    const link: RawEntry = { name: 'way', type: '1', link: 'way/a' }
    await expect(apply({ name: 'way/a' }, link)).rejects.toMatchObject(expected)
    const symlink: RawEntry = { name: 'way', type: '2', link: 'one' }
    await expect(apply({ name: 'one/a' }, symlink, link)).rejects.toMatchObject(expected)
  })

  it('stays inside while somebody exchanges a directory for a symlink to the outside', async () => {
    await using at = await besideVictim()
    const target = path.join(at.root, 'd')
    mkdirSync(target)
    let over = false
    const race = (async () => {
      for (let round = 0; !over; round++) {
        await rename(target, path.join(at.path, `away-${round}`)).catch(() => undefined)
        await symlink(at.victim, target).catch(() => undefined)
        await rm(target, { recursive: true, force: true }).catch(() => undefined)
        await mkdir(target).catch(() => undefined)
      }
    })()
    const entries = Array.from({ length: 300 }, (_, index) => ({ name: `d/f${index}`, data: 'x' }))
    for (let round = 0; round < 5; round++) {
      const whiteouts = round % 2 === 0 ? 'remove' : 'keep'
      await workers.apply(at.root, inChunks(rawTar(...entries)), { whiteouts }).catch(() => undefined)
    }
    over = true
    await race
    expect(listTree(at.victim)).toEqual(['hello'])
  })
})
