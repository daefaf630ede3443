/**
 * Hostile tars. A victim lies beside the data root, and each tar tries to reach it: it must fail with an error of
 * ours, or put all that it has inside of the layer. What it must never do is touch the victim, or show it.
 */
import assert from 'node:assert/strict'
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import type { Capabilities } from '../../capabilities.ts'
import { isGraphDriverError } from '../../error.ts'
import type { LayerId } from '../../id.ts'
import type { CaseBody } from '../case.ts'
import type { CaseContext } from '../context.ts'
import type { Requirement } from '../host/requirement.ts'
import { perform } from '../recipe/perform.ts'
import { directory, file, type Recipe, symlink } from '../recipe/step.ts'
import { inChunks, type RawEntry, rawTar } from '../tar/raw-tar.ts'
import { bytePath, walkTree } from '../tree/tree.ts'
import { listing } from '../tree/listing.ts'
import { deviceNodes } from './needs.ts'

/** How a tar would get at what is not its own. */
interface Way {
  /** From the layer's root to the victim: `../../../victim`. */
  readonly up: string
  /** The victim's path on the host. */
  readonly absolute: string
  /** From the layer's root to that of another layer, which is mounted. */
  readonly neighbour: string
}

interface Breakout {
  readonly name: string
  readonly title: string
  readonly seen?: string
  readonly requires?: readonly Requirement[]
  readonly needs?: (capabilities: Capabilities) => string | undefined
  readonly entries: (way: Way) => readonly RawEntry[]
  /** What the layer below holds. */
  readonly lower?: (way: Way) => Recipe
}

const hello = 'hello of the victim'
const victimRecipe: Recipe = [file('hello', hello), directory('d'), file('d/f')]

function breakout({ name, title, entries, lower = () => [], ...rest }: Breakout): CaseBody {
  return {
    ...rest,
    name: `breakout-${name}`,
    title,
    async run(context) {
      const victim = context.scratch('victim')
      await perform(victim, victimRecipe)
      const neighbour = await context.layer('neighbour', undefined, [directory('d'), file('d/f')])
      await using shown = await context.driver.get(neighbour)
      // Layers differ in their ids only, and these are of one length.
      const hostile = shown.path.replace(neighbour, 'hostile-1')
      const way: Way = {
        up: path.relative(hostile, victim),
        absolute: victim,
        neighbour: path.relative(hostile, shown.path),
      }
      const base = await context.layer('base', undefined, lower(way))
      const state = async (): Promise<unknown> => [
        [...walkTree(victim)],
        listing(victim),
        lstatSync(path.join(victim, 'hello')).nlink,
        await context.within(base, listing),
        listing(shown.path),
        readdirSync(context.directory).toSorted(),
      ]
      const before = await state()
      for (const parent of [undefined, base]) {
        await attempt(context, parent, entries(way))
        assert.deepEqual(await state(), before, 'the victim, other layers, or what is beside the data root')
      }
    },
  }
}

async function attempt(
  { driver, id, within }: CaseContext,
  parent: LayerId | undefined,
  entries: readonly RawEntry[],
): Promise<void> {
  const layer = id('hostile-1')
  await driver.create(layer, { parent })
  try {
    await driver.applyDiff(layer, parent, inChunks(rawTar(...entries), 700))
  } catch (error) {
    if (!isGraphDriverError(error, 'GD_ARCHIVE_BREAKOUT', 'GD_ARCHIVE_INVALID')) throw error
    assert.equal(typeof error.details.entry, 'string', 'the entry is not named')
  }
  await within(layer, (root) => {
    for (const [name, { type }] of walkTree(root)) {
      if (type !== 'file') continue
      assert.notEqual(readFileSync(bytePath(root, name), 'utf8'), hello, `${name} shows the victim`)
    }
  })
  await driver.remove(layer)
}

const hole = (type: '1' | '2', target: string): RawEntry => ({ name: 'loophole', type, link: target })

/** moby's six archives, once by hard links and once by symbolic links. */
function loopholes(type: '1' | '2', kind: string, words: string): readonly CaseBody[] {
  const seen = `moby archive: breakout by ${words}s`
  return [
    {
      name: `${kind}-up`,
      title: `${words} to a file above the root does not reach it`,
      entries: ({ up }: Way) => [{ name: 'dotdot', type, link: `${up}/hello` }],
    },
    {
      name: `${kind}-slash-up`,
      title: `${words} to a file by a path that begins with /../ does not reach it`,
      entries: ({ up }: Way) => [{ name: 'slash-dotdot', type, link: `/${up}/hello` }],
    },
    {
      name: `${kind}-file-through`,
      title: `${words} to a directory above the root is no way for a file`,
      entries: ({ up }: Way) => [hole(type, up), { name: 'loophole/file', data: 'written' }],
    },
    {
      name: `${kind}-symlink-through`,
      title: `${words} to a directory above the root is no way for a symbolic link that is then written`,
      entries: ({ up }: Way) => [
        hole(type, up),
        { name: 'symlink', type: '2', link: 'loophole/hello' },
        { name: 'symlink', data: 'written' },
      ],
    },
    {
      name: `${kind}-hard-link-through`,
      title: `${words} to a directory above the root is no way for a hard link to what is in it`,
      entries: ({ up }: Way) => [
        hole(type, up),
        { name: 'hardlink', type: '1', link: 'loophole/hello' },
        { name: 'hardlink', data: 'written' },
      ],
    },
    {
      name: `${kind}-replaced`,
      title: `${words} to a file above the root can be replaced by a file, and that file is not written`,
      entries: ({ up }: Way) => [
        hole(type, `${up}/hello`),
        { name: 'loophole', data: 'a file in its place' },
      ],
    },
  ].map((one) => breakout({ ...one, seen }))
}

const device = {
  requires: [{ root: true }],
  needs: deviceNodes,
} as const satisfies Partial<Breakout>

const names: readonly Breakout[] = [
  {
    name: 'file-name-up',
    title: 'a file whose name begins with ../ is not made outside',
    seen: 'moby archive: ../victim/dotdot',
    entries: ({ up }) => [{ name: `${up}/dotdot`, data: 'x' }],
  },
  {
    name: 'file-name-slash-up',
    title: 'a file whose name begins with /../ is not made outside',
    seen: 'moby archive: /../victim/slash-dotdot',
    entries: ({ up }) => [{ name: `/${up}/slash-dotdot`, data: 'x' }],
  },
  {
    name: 'file-name-over-file',
    title: 'a file whose name is that of a file above the root does not replace it',
    entries: ({ up }) => [{ name: `${up}/hello`, data: 'written' }],
  },
  {
    name: 'file-name-climbs-late',
    title: 'a file whose name climbs out after it went into a directory is not made outside',
    entries: ({ up }) => [{ name: 'a/' }, { name: `a/../${up}/late`, data: 'x' }],
  },
  {
    name: 'file-name-absolute',
    title: 'a file with an absolute name lands within the layer',
    entries: ({ absolute }) => [{ name: `${absolute}/absolute`, data: 'x' }],
  },
  {
    name: 'file-name-in-pax',
    title: 'a file whose PAX path climbs out is not made outside',
    entries: ({ up }) => [{ name: 'harmless', data: 'x', pax: { path: `${up}/pax` } }],
  },
  {
    name: 'file-name-of-neighbour',
    title: 'a file whose name leads into another layer does not get there',
    entries: ({ neighbour }) => [{ name: `${neighbour}/d/x`, data: 'x' }],
  },
  {
    name: 'directory-name-up',
    title: 'a directory whose name begins with ../ is neither made outside nor changed there',
    entries: ({ up }) => [
      { name: `${up}/d/`, mode: 0o700 },
      { name: `${up}/new/`, mode: 0o700 },
    ],
  },
  {
    name: 'symlink-name-up',
    title: 'a symbolic link whose name begins with ../ is not made outside',
    entries: ({ up }) => [{ name: `${up}/symlink`, type: '2', link: 'hello' }],
  },
  {
    name: 'hard-link-name-up',
    title: 'a hard link whose name begins with ../ is not made outside',
    entries: ({ up }) => [
      { name: 'own', data: 'x' },
      { name: `${up}/hardlink`, type: '1', link: 'own' },
    ],
  },
  {
    name: 'fifo-name-up',
    title: 'a fifo whose name begins with ../ is not made outside',
    entries: ({ up }) => [{ name: `${up}/fifo`, type: '6' }],
  },
  {
    name: 'device-name-up',
    title: 'a device whose name begins with ../ is not made outside',
    entries: ({ up }) => [{ name: `${up}/device`, type: '3', device: [1, 3] }],
    ...device,
  },
  {
    name: 'hard-link-absolute',
    title: 'a hard link to an absolute path of the host does not reach it',
    entries: ({ absolute }) => [{ name: 'h', type: '1', link: `${absolute}/hello` }],
  },
  {
    name: 'aufs-pseudo-link-up',
    title: 'an AUFS pseudo-link whose name climbs out is neither read nor written there',
    entries: ({ up }) => [
      { name: `.wh..wh.plnk/../${up}/hello`, data: 'x' },
      { name: 'x', type: '1', link: `.wh..wh.plnk/../${up}/hello` },
    ],
  },
]

const deletions: readonly Breakout[] = [
  {
    name: 'whiteout-up',
    title: 'a whiteout above the root removes nothing there',
    entries: ({ up }) => [{ name: `${up}/.wh.hello` }],
  },
  {
    name: 'whiteout-slash-up',
    title: 'a whiteout by a path that begins with /../ removes nothing outside',
    entries: ({ up }) => [{ name: `/${up}/.wh.hello` }],
  },
  {
    name: 'whiteout-of-dotdot',
    title: 'a whiteout whose name is .. does not remove what the root is in',
    entries: () => [{ name: '.wh...' }],
  },
  {
    name: 'opaque-up',
    title: 'an opaque marker above the root removes nothing there',
    entries: ({ up }) => [{ name: `${up}/.wh..wh..opq` }],
  },
  {
    name: 'whiteout-through-symlink',
    title: 'a whiteout through a symbolic link that leads out removes nothing there',
    entries: ({ up }) => [hole('2', up), { name: 'loophole/.wh.hello' }],
  },
  {
    name: 'opaque-through-symlink',
    title: 'an opaque marker through a symbolic link that leads out removes nothing there',
    entries: ({ up }) => [hole('2', up), { name: 'loophole/.wh..wh..opq' }],
  },
]

const ways: readonly Breakout[] = [
  {
    name: 'symlink-absolute',
    title: 'an absolute symbolic link of the same tar leads to a place within the layer',
    entries: ({ absolute }) => [hole('2', absolute), { name: 'loophole/hello', data: 'written' }],
  },
  {
    name: 'directory-over-symlink',
    title: 'a directory entry in the place of a symbolic link that leads out changes nothing there',
    entries: ({ up }) => [hole('2', `${up}/d`), { name: 'loophole/', mode: 0o700, uid: 1, mtime: '1' }],
  },
  {
    name: 'symlink-chain',
    title: 'a chain of symbolic links that leads out by steps is no way out',
    entries: ({ up }) => [
      hole('2', '..'),
      { name: 'again', type: '2', link: `loophole/${up.slice('../'.length)}` },
      { name: 'again/hello', data: 'written' },
    ],
  },
  {
    name: 'directory-becomes-symlink',
    title: 'a directory that becomes a symbolic link in the middle of a tar is no way out',
    seen: 'CVE-2018-15664',
    entries: ({ up }) => [
      { name: 'd/' },
      { name: 'd/f', data: '1' },
      { name: 'd', type: '2', link: up },
      { name: 'd/f', data: '2' },
    ],
  },
  {
    name: 'dotdot-after-symlink',
    title: 'a name that climbs after a symbolic link does not start where the link leads',
    entries: ({ up }) => [hole('2', `${up}/d`), { name: 'loophole/../hello', data: 'written' }],
  },
  {
    name: 'device-through-symlink',
    title: 'a device through a symbolic link that leads out is not made there',
    entries: ({ up }) => [hole('2', up), { name: 'loophole/device', type: '4', device: [7, 0] }],
    ...device,
  },
  {
    name: 'lower-symlink',
    title: 'a symbolic link of the layer below that climbs out is no way for a file',
    lower: ({ up }) => [symlink('way', up)],
    entries: () => [
      { name: 'way/hello', data: 'written' },
      { name: 'way/new', data: 'written' },
    ],
  },
  {
    name: 'lower-symlink-absolute',
    title: 'an absolute symbolic link of the layer below leads to a place within the layer',
    lower: ({ absolute }) => [symlink('way', absolute)],
    entries: () => [
      { name: 'way/hello', data: 'written' },
      { name: 'way/new', data: 'written' },
    ],
  },
  {
    name: 'lower-symlink-magic',
    title: 'a symbolic link of the layer below to /proc/self/root is only its text',
    lower: () => [symlink('way', '/proc/self/root')],
    entries: ({ absolute }) => [{ name: `way${absolute}/hello`, data: 'written' }],
  },
  {
    name: 'lower-symlink-whiteout',
    title: 'a whiteout through a symbolic link of the layer below removes nothing outside',
    lower: ({ up }) => [symlink('way', up)],
    entries: () => [{ name: 'way/.wh.hello' }],
  },
  {
    name: 'lower-symlink-opaque',
    title: 'an opaque marker through a symbolic link of the layer below removes nothing outside',
    lower: ({ absolute }) => [symlink('way', absolute)],
    entries: () => [{ name: 'way/.wh..wh..opq' }],
  },
  {
    name: 'lower-symlink-hard-link',
    title: 'a hard link through a symbolic link of the layer below does not reach what is outside',
    lower: ({ up }) => [symlink('way', up)],
    entries: () => [{ name: 'h', type: '1', link: 'way/hello' }],
  },
]

export const breakouts: readonly CaseBody[] = [
  ...[...names, ...deletions, ...ways].map(breakout),
  ...loopholes('1', 'hard-link', 'a hard link'),
  ...loopholes('2', 'symlink', 'a symbolic link'),
]
