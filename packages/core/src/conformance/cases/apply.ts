/** What a layer tar makes of a layer: format, whiteouts, replacement, and the stream that it comes in. */
import assert from 'node:assert/strict'
import { closeSync, lstatSync, openSync, readFileSync, readSync, statSync } from 'node:fs'
import type { Capabilities } from '../../capabilities.ts'
import type { TarStream } from '../../driver.ts'
import type { LayerId } from '../../id.ts'
import { casesOf, type CaseBody, type ConformanceCase } from '../case.ts'
import { type CaseContext, rootIsOwn } from '../context.ts'
import {
  attributes,
  contentBytes,
  device,
  directory,
  fifo,
  file,
  link,
  type Recipe,
  symlink,
} from '../recipe/step.ts'
import { entryBlocks, inChunks, type RawEntry, rawTar } from '../tar/raw-tar.ts'
import { readXattrs } from '../tree/xattr.ts'
import { appliedLayer, dress, listing, names } from './applied-layer.ts'
import { breakouts } from './apply-breakout.ts'
import { damages } from './apply-damage.ts'
import { patched } from './patched-header.ts'

const anyOwner = ({ ownership }: Capabilities): string | undefined =>
  ownership === 'any' ? undefined : 'files cannot belong to anybody here'

const endMarker = Buffer.alloc(1024)

/** Applies a stream to a base layer and to a child, and compares what it makes of both. */
async function makes(
  context: CaseContext,
  stream: () => TarStream,
  expected: readonly string[],
): Promise<void> {
  const { driver, id, within } = context
  await driver.create(id('alone'))
  await driver.applyDiff(id('alone'), undefined, stream())
  assert.deepEqual(await within(id('alone'), listing), expected)
  const lower = await context.layer('lower', undefined, [file('~lower', 'l')])
  await driver.create(id('upper'), { parent: lower })
  await driver.applyDiff(id('upper'), lower, stream())
  assert.deepEqual(await within(id('upper'), listing), [...expected, '~lower "l"'])
}

function makesOf(
  context: CaseContext,
  entries: readonly RawEntry[],
  expected: readonly string[],
): Promise<void> {
  return makes(context, () => inChunks(rawTar(...entries)), expected)
}

/** A layer with a recipe, a child with a tar, and what the child then shows; the parent must be as it was. */
async function upon(
  context: CaseContext,
  recipe: Recipe,
  entries: readonly RawEntry[],
  expected: readonly string[],
): Promise<LayerId> {
  const lower = await context.layer('lower', undefined, recipe)
  const before = await context.within(lower, listing)
  const upper = await appliedLayer(context, 'upper', lower, ...entries)
  assert.deepEqual(await context.within(upper, listing), expected)
  assert.deepEqual(await context.within(lower, listing), before, 'the parent')
  return upper
}

/** One thing takes the place of another of the same name in the layer below. */
function replacement(
  name: string,
  title: string,
  [lower, entries, expected]: readonly [Recipe, readonly RawEntry[], readonly string[]],
): CaseBody {
  return {
    name: `replace-${name}`,
    title,
    async run(context) {
      await upon(context, lower, entries, expected)
    },
  }
}

const treeWithContent: Recipe = [directory('x'), file('x/old', 'old'), directory('x/deep'), file('x/deep/f')]

const replacements: readonly CaseBody[] = [
  replacement('directory-by-file', 'a file takes the place of a directory with all that is in it', [
    treeWithContent,
    [{ name: 'x', data: 'new' }],
    ['x "new"'],
  ]),
  replacement('directory-by-symlink', 'a symbolic link takes the place of a directory with content', [
    [...treeWithContent, directory('y')],
    [{ name: 'x', type: '2', link: 'y' }],
    ['x -> y', 'y/'],
  ]),
  replacement('file-by-directory', 'a directory takes the place of a file', [
    [file('x', 'old')],
    [{ name: 'x/' }, { name: 'x/new', data: 'new' }],
    ['x/', 'x/new "new"'],
  ]),
  replacement('file-by-symlink', 'a symbolic link takes the place of a file', [
    [file('x', 'old'), file('y', 'y')],
    [{ name: 'x', type: '2', link: 'y' }],
    ['x -> y', 'y "y"'],
  ]),
  replacement('file-by-fifo', 'a fifo takes the place of a file', [
    [file('x', 'old')],
    [{ name: 'x', type: '6' }],
    ['x fifo'],
  ]),
  replacement('file-by-file', 'a file takes the place of a longer one, and nothing of that is left', [
    [file('x', 'a long old content')],
    [{ name: 'x', data: 'new' }],
    ['x "new"'],
  ]),
  replacement('symlink-by-directory', 'a directory takes the place of a symbolic link to a directory', [
    [symlink('x', 'y'), directory('y'), file('y/f', 'y')],
    [{ name: 'x/' }, { name: 'x/new', data: 'new' }],
    ['x/', 'x/new "new"', 'y/', 'y/f "y"'],
  ]),
  replacement('symlink-by-file', 'a file takes the place of a symbolic link and is not written through it', [
    [symlink('x', 'y'), file('y', 'y')],
    [{ name: 'x', data: 'new' }],
    ['x "new"', 'y "y"'],
  ]),
]

/** A tar that is not one stream of comfortable chunks, and what reads it to its end all the same. */
const streamed: readonly RawEntry[] = [
  { name: 'd/' },
  { name: 'd/f', data: 'content' },
  { name: `d/${'n'.repeat(120)}`, data: 'x'.repeat(600) },
  { name: 'l', type: '2', link: 'd/f' },
]

const streamedListing: readonly string[] = [
  'd/',
  'd/f "content"',
  `d/${'n'.repeat(120)} 600 bytes`,
  'l -> d/f',
]

async function* afterTurns(chunks: TarStream): TarStream {
  for await (const chunk of chunks) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
    yield chunk
  }
}

async function* betweenEmpty(chunks: TarStream): TarStream {
  yield Buffer.alloc(0)
  for await (const chunk of chunks) {
    yield chunk
    yield Buffer.alloc(0)
  }
}

/** A source with one buffer, as one that reads from a file descriptor has. */
async function* inOneBuffer(bytes: Buffer): TarStream {
  const buffer = Buffer.alloc(700)
  for (let at = 0; at < bytes.length; at += buffer.length) {
    const length = bytes.copy(buffer, 0, at)
    yield buffer.subarray(0, length)
    buffer.fill(0xff)
  }
}

/** moby's four layers for whiteouts: each as the names of its tar in the order of a sorted walk, then what is seen. */
const whiteoutLayers: readonly (readonly [tar: string, seen: string])[] = [
  [
    '.baz bar/ bar/bax bar/bay/ baz foo/ foo/.abc foo/.bcd/ foo/.bcd/a foo/cde/ foo/cde/def foo/cde/efg foo/fgh foobar',
    '.baz bar/ bar/bax bar/bay/ baz foo/ foo/.abc foo/.bcd/ foo/.bcd/a foo/cde/ foo/cde/def foo/cde/efg foo/fgh foobar',
  ],
  [
    '.bay .wh.baz foo/ foo/.bce foo/.wh..wh..opq foo/cde/ foo/cde/efg',
    '.bay .baz bar/ bar/bax bar/bay/ foo/ foo/.bce foo/cde/ foo/cde/efg foobar',
  ],
  [
    '.bay .wh..baz .wh.foobar foo/ foo/.abc foo/.wh.cde bar/',
    '.bay bar/ bar/bax bar/bay/ foo/ foo/.abc foo/.bce',
  ],
  ['.abc .wh..wh..opq foobar', '.abc foobar'],
]

const whiteouts: readonly CaseBody[] = [
  {
    name: 'whiteout-file',
    title: 'a whiteout removes a file of the layer below, and only that',
    async run(context) {
      await upon(
        context,
        [directory('d'), file('d/gone', ''), file('d/gone too', ''), file('d/kept', 'k')],
        [{ name: 'd/.wh.gone' }, { name: 'd/.wh.gone too' }],
        ['d/', 'd/kept "k"'],
      )
    },
  },
  {
    name: 'whiteout-directory',
    title: 'a whiteout removes a directory of the layer below with all that is in it',
    async run(context) {
      await upon(context, [...treeWithContent, file('y', 'y')], [{ name: '.wh.x' }], ['y "y"'])
    },
  },
  {
    name: 'whiteout-symlink',
    title: 'a whiteout of a symbolic link removes the link and not what it points to',
    async run(context) {
      await upon(
        context,
        [directory('d'), file('d/f', 'f'), symlink('l', 'd'), symlink('m', '/d/f')],
        [{ name: '.wh.l' }, { name: '.wh.m' }],
        ['d/', 'd/f "f"'],
      )
    },
  },
  {
    name: 'whiteout-through-symlink',
    title: 'a whiteout whose path leads through a symbolic link removes the name where the link leads',
    async run(context) {
      await upon(
        context,
        [directory('usr'), directory('usr/lib'), file('usr/lib/f', ''), symlink('lib', '/usr/lib')],
        [{ name: 'lib/.wh.f' }],
        ['lib -> /usr/lib', 'usr/', 'usr/lib/'],
      )
    },
  },
  {
    name: 'whiteout-of-nothing',
    title: 'a whiteout of a name that is nowhere succeeds and leaves nothing',
    seen: 'umoci and containers/storage both had to learn it',
    async run(context) {
      await makesOf(
        context,
        [
          { name: 'd/' },
          { name: '.wh.never' },
          { name: 'd/.wh.never' },
          { name: 'd/.wh.f' },
          { name: 'd/f' },
        ],
        ['d/', 'd/f ""'],
      )
    },
  },
  {
    name: 'whiteout-shows-nothing',
    title: 'no whiteout and no opaque marker is seen in the layer or by its child',
    async run(context) {
      const lower = await context.layer('lower', undefined, [
        directory('d'),
        file('d/f'),
        directory('o'),
        file('o/f'),
      ])
      const upper = await appliedLayer(
        context,
        'upper',
        lower,
        { name: 'd/.wh.f' },
        { name: 'o/' },
        { name: 'o/.wh..wh..opq' },
      )
      const child = await context.layer('child', upper)
      for (const id of [upper, child]) assert.deepEqual(await context.within(id, listing), ['d/', 'o/'], id)
    },
  },
  {
    name: 'whiteout-names-like-it',
    title: 'names that only hold .wh. somewhere inside are ordinary names',
    async run(context) {
      await makesOf(
        context,
        [{ name: 'a.wh.b' }, { name: 'd.wh.d/.whf' }, { name: 'wh.' }],
        ['a.wh.b ""', 'd.wh.d/', 'd.wh.d/.whf ""', 'wh. ""'],
      )
    },
  },
  {
    name: 'whiteout-then-file',
    title: 'a file that comes after its own whiteout in one tar is there',
    async run(context) {
      await upon(context, [file('x', 'old')], [{ name: '.wh.x' }, { name: 'x', data: 'new' }], ['x "new"'])
    },
  },
  {
    name: 'whiteout-then-directory',
    title: 'a directory that comes after its own whiteout has nothing of the one below',
    seen: 'a directory that is deleted and made again in one layer',
    async run(context) {
      await upon(
        context,
        treeWithContent,
        [{ name: '.wh.x' }, { name: 'x/' }, { name: 'x/new', data: 'new' }, { name: 'x/deep/' }],
        ['x/', 'x/deep/', 'x/new "new"'],
      )
    },
  },
  {
    name: 'whiteout-then-implied-directory',
    title: 'a file in a directory that was whited out before brings back the directory and nothing else',
    async run(context) {
      const entries = [{ name: '.wh.x' }, { name: 'x/deep/new', data: 'new' }]
      await upon(context, treeWithContent, entries, ['x/', 'x/deep/', 'x/deep/new "new"'])
    },
  },
  {
    name: 'file-then-whiteout',
    title: 'a whiteout that comes after a file or directory of its own tar removes it',
    seen: 'moby overlay2: file exists',
    async run(context) {
      await upon(
        context,
        [file('x', 'old'), directory('d'), file('d/old', '')],
        [
          { name: 'x', data: 'new' },
          { name: '.wh.x' },
          { name: 'd/' },
          { name: 'd/new' },
          { name: '.wh.d' },
          { name: 'y' },
        ],
        ['y ""'],
      )
    },
  },
  {
    name: 'whiteout-twice',
    title: 'the same whiteout may come twice, and that of something inside after that of the directory',
    async run(context) {
      await upon(
        context,
        [...treeWithContent, file('y', 'y')],
        [{ name: 'x/.wh.old' }, { name: '.wh.x' }, { name: '.wh.x' }],
        ['y "y"'],
      )
    },
  },
  {
    name: 'opaque-hides-lower',
    title: 'an opaque marker hides what every layer below has in the directory',
    async run(context) {
      const base = await context.layer('base', undefined, [...treeWithContent, file('y', 'y')])
      const middle = await context.layer('middle', base, [file('x/middle'), directory('x/other')])
      const upper = await appliedLayer(context, 'upper', middle, { name: 'x/' }, { name: 'x/.wh..wh..opq' })
      assert.deepEqual(await context.within(upper, listing), ['x/', 'y "y"'])
    },
  },
  {
    name: 'opaque-keeps-own',
    title: 'an opaque marker keeps what its own layer has in the directory, before it and after',
    seen: 'moby UnpackLayer: foo/.bce sorts before the marker',
    async run(context) {
      await upon(
        context,
        treeWithContent,
        [
          { name: 'x/' },
          { name: 'x/.first', data: 'first' },
          { name: 'x/deep/' },
          { name: 'x/deep/own', data: 'own' },
          { name: 'x/.wh..wh..opq' },
          { name: 'x/old', data: 'new' },
          { name: 'x/zlast', data: 'last' },
        ],
        ['x/', 'x/.first "first"', 'x/deep/', 'x/deep/own "own"', 'x/old "new"', 'x/zlast "last"'],
      )
    },
  },
  {
    name: 'opaque-without-directory-entry',
    title: 'an opaque marker acts although the tar has no entry for its directory',
    async run(context) {
      await upon(
        context,
        treeWithContent,
        [{ name: 'x/.wh..wh..opq' }, { name: 'x/new', data: 'new' }],
        ['x/', 'x/new "new"'],
      )
    },
  },
  {
    name: 'opaque-root',
    title: 'an opaque marker at the root hides everything below the layer',
    async run(context) {
      await upon(
        context,
        [...treeWithContent, file('y', 'y'), symlink('l', 'x')],
        [{ name: '.wh..wh..opq' }, { name: 'x/' }, { name: 'x/new', data: 'new' }],
        ['x/', 'x/new "new"'],
      )
    },
  },
  {
    name: 'opaque-twice-down',
    title: 'an opaque marker inside an opaque directory changes nothing more',
    async run(context) {
      await upon(
        context,
        treeWithContent,
        [
          { name: 'x/' },
          { name: 'x/.wh..wh..opq' },
          { name: 'x/deep/' },
          { name: 'x/deep/.wh..wh..opq' },
          { name: 'x/deep/new', data: 'new' },
        ],
        ['x/', 'x/deep/', 'x/deep/new "new"'],
      )
    },
  },
  {
    name: 'whiteouts-up-a-stack',
    title: 'four layers of files, whiteouts and opaque markers show at each level what they add up to',
    seen: 'moby UnpackLayer whiteouts',
    async run(context) {
      let parent: LayerId | undefined
      for (const [level, [tar, seen]] of whiteoutLayers.entries()) {
        const entries = tar.split(' ').map((name): RawEntry => ({ name }))
        parent = await appliedLayer(context, `level${level}`, parent, ...entries)
        const names = (await context.within(parent, listing)).map((line) => line.replace(/ ""$/, ''))
        assert.deepEqual(names, seen.split(' '), `level ${level}`)
      }
    },
  },
  {
    name: 'aufs-bookkeeping',
    title: 'the bookkeeping of AUFS in a layer is not shown',
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: '.wh..wh.aufs' },
        { name: '.wh..wh.orph/' },
        { name: '.wh..wh.plnk/' },
        { name: 'f', data: 'f' },
      ]
      await makesOf(context, entries, ['f "f"'])
    },
  },
  {
    name: 'aufs-pseudo-link',
    title: 'a hard link to an AUFS pseudo-link becomes a file with its content',
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: '.wh..wh.plnk/' },
        { name: '.wh..wh.plnk/123.456', data: 'linked' },
        { name: 'a', type: '1', link: '.wh..wh.plnk/123.456' },
        { name: 'b', type: '1', link: '.wh..wh.plnk/123.456' },
      ]
      await makes(context, () => inChunks(rawTar(...entries)), ['a "linked"', 'b = a'])
    },
  },
]

const trees: readonly CaseBody[] = [
  {
    name: 'tree',
    title: 'a layer is what its tar says: files, modes, owners, times and links',
    needs: anyOwner,
    async run(context) {
      const mtime = 1_100_000_000.5
      const f = { mode: 0o640, uid: 3, gid: 4, mtime }
      const entries: readonly RawEntry[] = [
        { name: 'd/', mode: 0o1750, uid: 1, gid: 2, mtime: '1000000000.25' },
        { name: 'd/f', ...f, mtime: String(mtime), data: 'some content' },
        { name: 'd/empty', mode: 0o400, uid: 65_534, gid: 65_534, mtime: '1' },
        { name: 'd/unreadable/', mode: 0, mtime: '1200000000.75' },
        { name: 'l', type: '2', link: 'd/f', uid: 5, gid: 6, mode: 0o777, mtime: '1300000000.5' },
        { name: 'h', type: '1', link: 'd/f', ...f, mtime: String(mtime) },
        { name: 'p', type: '6', mode: 0o622, uid: 7, gid: 8, mtime: '1400000000.125' },
      ]
      const recipe: Recipe = [
        directory('d', { mode: 0o1750, uid: 1, gid: 2, mtime: 1_000_000_000.25 }),
        file('d/f', 'some content', f),
        file('d/empty', '', { mode: 0o400, uid: 65_534, gid: 65_534, mtime: 1 }),
        directory('d/unreadable', { mode: 0, mtime: 1_200_000_000.75 }),
        symlink('l', 'd/f', { uid: 5, gid: 6, mtime: 1_300_000_000.5 }),
        link('h', 'd/f'),
        fifo('p', { mode: 0o622, uid: 7, gid: 8, mtime: 1_400_000_000.125 }),
        // The last word on the file of two names.
        attributes('h', { mtime }),
      ]
      const lower = await context.layer('lower')
      const oracle = await context.oracle(recipe)
      for (const [name, parent] of [
        ['alone', undefined],
        ['upper', lower],
      ] as const) {
        const made = await appliedLayer(context, name, parent, ...entries)
        await context.within(made, (root) => context.sameTree(oracle, root, rootIsOwn))
      }
    },
  },
  {
    name: 'devices',
    title: 'character and block devices of a tar are made with their numbers, modes and owners',
    requires: [{ root: true }],
    needs: ({ deviceNodes }) => (deviceNodes ? undefined : 'device nodes cannot be made here'),
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: 'c', type: '3', device: [12, 5], mode: 0o620, uid: 1, gid: 5, mtime: '1000000000' },
        { name: 'b', type: '4', device: [8, 200], mode: 0o660, gid: 6, mtime: '1100000000.5' },
      ]
      const recipe: Recipe = [
        device('c', 'c', [12, 5], { mode: 0o620, uid: 1, gid: 5, mtime: 1_000_000_000 }),
        device('b', 'b', [8, 200], { mode: 0o660, gid: 6, mtime: 1_100_000_000.5 }),
      ]
      const oracle = await context.oracle(recipe)
      const made = await appliedLayer(context, 'made', await context.layer('lower'), ...entries)
      await context.within(made, (root) => context.sameTree(oracle, root, rootIsOwn))
    },
  },
  {
    name: 'set-id-bits',
    title: 'set-user-id, set-group-id and sticky bits are there although the owner is not root',
    seen: 'chown(2) clears the bits',
    needs: anyOwner,
    async run(context) {
      const made = await appliedLayer(
        context,
        'made',
        undefined,
        { name: 'suid', mode: 0o4755, uid: 1000, gid: 1000, data: 'x' },
        { name: 'sgid', mode: 0o2755, uid: 1000, gid: 1000, data: 'x' },
        { name: 'both', mode: 0o6711, uid: 1000, gid: 1000, data: 'x' },
        { name: 'link', type: '1', link: 'suid', mode: 0o4755, uid: 1000, gid: 1000 },
        { name: 'sticky/', mode: 0o1777, uid: 1000, gid: 1000 },
        { name: 'group/', mode: 0o2775, uid: 1000, gid: 1000 },
      )
      const wanted = { suid: '4755', sgid: '2755', both: '6711', link: '4755', sticky: '1777', group: '2775' }
      await context.within(made, async (root) => {
        for (const [name, mode] of Object.entries(wanted))
          assert.equal(await dress(root, name), `${mode} 1000:1000`, name)
      })
    },
  },
  {
    name: 'umask',
    title: 'the umask of the process does not narrow what a tar says',
    async run(context) {
      const before = process.umask(0o077)
      try {
        await appliedLayer(
          context,
          'made',
          undefined,
          { name: 'd/', mode: 0o777 },
          { name: 'd/f', mode: 0o666 },
          { name: 'i/f' },
        )
      } finally {
        process.umask(before)
      }
      await context.within(context.id('made'), async (root) => {
        const modes = ['d', 'd/f', 'i'].map((name) =>
          (lstatSync(`${root}/${name}`).mode & 0o7777).toString(8),
        )
        assert.deepEqual(modes, ['777', '666', '755'])
      })
    },
  },
  {
    name: 'type-bits-in-mode',
    title: 'file type bits in the mode field are not taken for permissions',
    seen: 'moby writes them',
    async run(context) {
      const made = await appliedLayer(
        context,
        'made',
        undefined,
        { name: 'd/', mode: 0o040_755 },
        { name: 'd/f', mode: 0o100_640, data: 'f' },
        { name: 's', type: '2', link: 'd', mode: 0o120_777 },
      )
      await context.within(made, async (root) => {
        assert.deepEqual(await listing(root), ['d/', 'd/f "f"', 's -> d'])
        assert.deepEqual([await dress(root, 'd'), await dress(root, 'd/f')], ['0755 0:0', '0640 0:0'])
      })
    },
  },
  {
    name: 'symlink-targets-verbatim',
    title: 'the target of a symbolic link is kept as it is written, wherever it points',
    async run(context) {
      const targets = ['/etc/passwd', '../../../outside', 'nowhere/./x//y/', '.', '/proc/self/root']
      await makesOf(
        context,
        targets.map((target, index) => ({ name: `l${index}`, type: '2', link: target })),
        targets.map((target, index) => `l${index} -> ${target}`),
      )
    },
  },
  {
    name: 'names-of-any-bytes',
    title: 'a name is bytes, and stays them where they are not UTF-8',
    async run(context) {
      const name = Buffer.from('caf\u{e9} \u{ff}\u{80} \\ \n "', 'latin1')
      const made = await appliedLayer(
        context,
        'made',
        undefined,
        { name, data: 'x' },
        { name: 'l', type: '2', link: name },
      )
      const shown = name.toString('latin1')
      assert.deepEqual(await context.within(made, listing), [`${shown} "x"`, `l -> ${shown}`])
    },
  },
  {
    name: 'xattrs',
    title: 'extended attributes of a tar are stored, and file capabilities survive the change of owner',
    requires: [{ root: true }, { command: 'getfattr', package: 'attr' }],
    needs: ({ xattrs }) => (xattrs === 'none' ? 'extended attributes are not kept here' : undefined),
    async run(context) {
      const capability = Buffer.from('0100000200040000000000000000000000000000', 'hex')
      const entry: RawEntry = {
        name: 'ping',
        mode: 0o755,
        uid: 1,
        gid: 1,
        data: 'x',
        pax: { 'SCHILY.xattr.security.capability': capability },
      }
      const made = await appliedLayer(context, 'made', await context.layer('lower'), entry)
      const found = await context.within(made, readXattrs)
      assert.equal(found.get('ping')?.['security.capability'], `0x${capability.toString('hex')}`)
    },
  },
  {
    name: 'large-file',
    title: 'a file of many chunks has every byte of its entry',
    async run(context) {
      const data = contentBytes({ bytes: 9_000_001, seed: 7 })
      const made = await appliedLayer(
        context,
        'made',
        undefined,
        { name: 'before', data: 'b' },
        { name: 'f', data },
        { name: 'g', data: 'g' },
      )
      await context.within(made, (root) => {
        assert(readFileSync(`${root}/f`).equals(data), 'other bytes')
        assert.equal(readFileSync(`${root}/g`, 'utf8'), 'g')
      })
    },
  },
  {
    name: 'many-entries',
    title: 'a tar of thousands of entries is applied whole',
    async run(context) {
      const entries = Array.from({ length: 2500 }, (_, index): RawEntry => ({
        name: `d${index % 70}/f${index}`,
        data: String(index),
      }))
      const made = await appliedLayer(context, 'made', undefined, ...entries)
      await context.within(made, (root) => {
        for (const { name, data = '' } of entries)
          assert.equal(readFileSync(`${root}/${name.toString()}`, 'utf8'), data.toString())
      })
    },
  },
  {
    name: 'implied-directories',
    title: 'directories that a tar leaves out are made for root with mode 0755',
    seen: 'moby #44395: they had mode 0600',
    async run(context) {
      for (const parent of [undefined, await context.layer('lower')]) {
        const made = await appliedLayer(context, `on-${parent ?? 'nothing'}`, parent, {
          name: 'a/b/f',
          mode: 0o600,
          uid: 1,
          gid: 1,
        })
        await context.within(made, async (root) => {
          assert.deepEqual(await listing(root), ['a/', 'a/b/', 'a/b/f ""'])
          assert.deepEqual([await dress(root, 'a'), await dress(root, 'a/b')], ['0755 0:0', '0755 0:0'])
        })
      }
    },
    needs: anyOwner,
  },
  {
    name: 'lower-directories-as-they-are',
    title: 'directories that a tar leaves out keep the mode and owner that they have in the layer below',
    seen: 'a layer with tmp/f and no tmp/ takes the sticky bit from /tmp',
    needs: anyOwner,
    async run(context) {
      const recipe = [
        directory('tmp', { mode: 0o1777, uid: 3, gid: 4 }),
        directory('tmp/d', { mode: 0o700 }),
        file('tmp/d/gone'),
      ]
      const base = await context.layer('base', undefined, recipe)
      const middle = await context.layer('middle', base)
      const upper = await appliedLayer(
        context,
        'upper',
        middle,
        { name: 'tmp/f' },
        { name: 'tmp/d/.wh.gone' },
      )
      await context.within(upper, async (root) => {
        assert.deepEqual(await listing(root), ['tmp/', 'tmp/d/', 'tmp/f ""'])
        assert.deepEqual([await dress(root, 'tmp'), await dress(root, 'tmp/d')], ['1777 3:4', '0700 0:0'])
      })
    },
  },
  {
    name: 'directory-over-directory',
    title: 'an entry for a directory that is there keeps its content and gives it mode, owner and time',
    needs: anyOwner,
    async run(context) {
      const lower = await context.layer('lower', undefined, treeWithContent)
      const entry: RawEntry = { name: 'x/', mode: 0o2711, uid: 5, gid: 6, mtime: '1234567890.5' }
      const upper = await appliedLayer(context, 'upper', lower, entry, { name: 'x/new', data: 'n' })
      await context.within(upper, async (root) => {
        const seen = ['x/', 'x/deep/', 'x/deep/f "x/deep/f"', 'x/new "n"', 'x/old "old"']
        assert.deepEqual(await listing(root), seen)
        assert.equal(await dress(root, 'x'), '2711 5:6')
        assert.equal(Math.floor(lstatSync(`${root}/x`).mtimeMs / 1000), 1_234_567_890)
      })
    },
  },
  {
    name: 'directory-time-last',
    title: 'a directory has the time of its entry, whatever the tar puts into it afterwards',
    async run(context) {
      const made = await appliedLayer(
        context,
        'made',
        await context.layer('lower', undefined, [directory('d'), file('d/gone')]),
        { name: 'd/', mtime: '1000000000' },
        { name: 'e/', mtime: '1100000000' },
        { name: 'd/f' },
        { name: 'e/d/', mtime: '1200000000' },
        { name: 'd/.wh.gone' },
        { name: 'e/d/f' },
      )
      await context.within(made, (root) => {
        const times = ['d', 'e', 'e/d'].map((name) => lstatSync(`${root}/${name}`).mtimeMs / 1e3)
        assert.deepEqual(times, [1_000_000_000, 1_100_000_000, 1_200_000_000])
      })
    },
  },
  {
    name: 'hidden-stays-hidden',
    title: 'a directory in the place of a file shows nothing of the directory that the file replaced',
    async run(context) {
      const base = await context.layer('base', undefined, treeWithContent)
      const middle = await appliedLayer(context, 'middle', base, { name: 'x', data: 'file' })
      const upper = await appliedLayer(context, 'upper', middle, { name: 'x/' }, { name: 'x/new', data: 'n' })
      assert.deepEqual(await context.within(upper, listing), ['x/', 'x/new "n"'])
    },
  },
  {
    name: 'last-of-duplicates',
    title: 'of several entries of one name the last counts',
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: 'f', data: 'a longer first' },
        { name: 'd', data: 'file' },
        { name: 'f', data: 'last', mode: 0o600 },
        { name: 'd/' },
        { name: 'd/x' },
        { name: 'e/x' },
        { name: 'e', data: 'file' },
      ]
      await makesOf(context, entries, ['d/', 'd/x ""', 'e "file"', 'f "last"'])
    },
  },
  {
    name: 'hard-links',
    title: 'hard links within a tar are names of one file',
    seen: 'moby hardlinks survive',
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: 'd/' },
        { name: 'd/f', data: 'content' },
        { name: 'a', type: '1', link: 'd/f' },
        { name: 'e/b', type: '1', link: './d//f' },
        { name: 'e/c', type: '1', link: '/a' },
      ]
      await makesOf(context, entries, ['a "content"', 'd/', 'd/f = a', 'e/', 'e/b = a', 'e/c = a'])
    },
  },
  {
    name: 'hard-link-to-symlink',
    title: 'a hard link to a symbolic link is a second name of the link itself',
    seen: 'moby: hardlink to symlink before its target',
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: 'symlink1', type: '2', link: 'regular' },
        { name: 'symlink2', type: '1', link: 'symlink1' },
        { name: 'regular', data: 'content' },
      ]
      await makesOf(context, entries, ['regular "content"', 'symlink1 -> regular', 'symlink2 = symlink1'])
    },
  },
  {
    name: 'hard-link-to-lower-file',
    title: 'a hard link to a file of the layer below is refused by name, or has its content',
    async run(context) {
      const lower = await context.layer('lower', undefined, [directory('d'), file('d/f', 'content')])
      const { driver, id } = context
      await driver.create(id('upper'), { parent: lower })
      const stream = inChunks(rawTar({ name: 'h', type: '1', link: 'd/f' }))
      try {
        await driver.applyDiff(id('upper'), lower, stream)
      } catch (error) {
        names('h', 'GD_ARCHIVE_INVALID')(error)
        return
      }
      await context.within(id('upper'), (root) => assert.equal(readFileSync(`${root}/h`, 'utf8'), 'content'))
    },
  },
  {
    name: 'hard-link-before-target',
    title: 'a hard link that comes before its target is an error that names it',
    async run(context) {
      const { driver, id } = context
      await driver.create(id('layer'))
      const stream = inChunks(rawTar({ name: 'h', type: '1', link: 'f' }, { name: 'f', data: 'late' }))
      await assert.rejects(driver.applyDiff(id('layer'), undefined, stream), names('h', 'GD_ARCHIVE_INVALID'))
    },
  },
  {
    name: 'replaced-name-of-a-linked-file',
    title: 'a file that replaces one name of a linked file leaves the other name its content',
    async run(context) {
      const lower = await context.layer('lower', undefined, [file('a', 'old'), link('b', 'a')])
      const upper = await appliedLayer(context, 'upper', lower, { name: 'a', data: 'new' })
      assert.deepEqual(await context.within(upper, listing), ['a "new"', 'b "old"'])
      const made = await appliedLayer(
        context,
        'made',
        undefined,
        { name: 'a', data: 'old' },
        { name: 'b', type: '1', link: 'a' },
        { name: 'a', data: 'new' },
      )
      assert.deepEqual(await context.within(made, listing), ['a "new"', 'b "old"'])
    },
  },
  {
    name: 'path-through-lower-symlink',
    title: 'a path through a symbolic link of the layer below lands where the link leads within the layer',
    seen: 'images with /lib -> /usr/lib and entries below lib/',
    async run(context) {
      await upon(
        context,
        [
          directory('usr'),
          directory('usr/lib'),
          file('usr/lib/old', 'old'),
          symlink('lib', '/usr/lib'),
          symlink('lib64', 'usr/lib'),
          symlink('up', '../../../usr'),
          symlink('run', '/var/run'),
        ],
        [
          { name: 'lib/a', data: 'a' },
          { name: 'lib64/b', data: 'b' },
          { name: 'up/lib/c', data: 'c' },
          { name: 'run/pid', data: 'p' },
        ],
        [
          'lib -> /usr/lib',
          'lib64 -> usr/lib',
          'run -> /var/run',
          'up -> ../../../usr',
          'usr/',
          'usr/lib/',
          'usr/lib/a "a"',
          'usr/lib/b "b"',
          'usr/lib/c "c"',
          'usr/lib/old "old"',
          'var/',
          'var/run/',
          'var/run/pid "p"',
        ],
      )
    },
  },
  {
    name: 'path-through-own-symlink',
    title: 'a path through a symbolic link of the same tar lands where the link then leads',
    async run(context) {
      await makesOf(
        context,
        [
          { name: 'one/' },
          { name: 'two/' },
          { name: 'way', type: '2', link: '/one' },
          { name: 'way/a', data: '1' },
          { name: 'way', type: '2', link: 'two' },
          { name: 'way/a', data: '2' },
        ],
        ['one/', 'one/a "1"', 'two/', 'two/a "2"', 'way -> two'],
      )
    },
  },
  {
    name: 'ordinary-names-with-dots',
    title: 'names that only begin with two dots are ordinary names',
    seen: 'moby: a file named ..gitme',
    async run(context) {
      const entries = [{ name: '..gitme' }, { name: '.../f' }, { name: 'd/..x' }, { name: 'd/x..' }]
      await makesOf(context, entries, ['.../', '.../f ""', '..gitme ""', 'd/', 'd/..x ""', 'd/x.. ""'])
    },
  },
  {
    name: 'names-in-other-spellings',
    title: 'leading ./ and /, doubled slashes, and . and .. within a name mean the same name',
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: './' },
        { name: './a/' },
        { name: './/a//b', data: 'b' },
        { name: '/c', data: 'c' },
        { name: 'a/./d', data: 'd' },
        { name: 'a/../e', data: 'e' },
        { name: 'f/', type: '5' },
        { name: 'g', type: '5' },
      ]
      await makesOf(context, entries, ['a/', 'a/b "b"', 'a/d "d"', 'c "c"', 'e "e"', 'f/', 'g/'])
    },
  },
  {
    name: 'root-entry',
    title: 'entries for the root itself remove nothing and leave it a directory',
    async run(context) {
      await upon(
        context,
        [directory('d'), file('d/f', 'f')],
        [{ name: './' }, { name: 'g', data: 'g' }, { name: '/', type: '5' }, { name: './' }],
        ['d/', 'd/f "f"', 'g "g"'],
      )
    },
  },
  {
    name: 'child-of-applied',
    title: 'a child of an applied layer starts as that: with what it added and without what it removed',
    async run(context) {
      const lower = await context.layer('lower', undefined, [
        directory('d'),
        file('d/gone'),
        file('d/kept', 'k'),
      ])
      const entries = [{ name: 'd/.wh.gone' }, { name: 'd/new', data: 'n' }]
      const upper = await appliedLayer(context, 'upper', lower, ...entries)
      const child = await context.writable('child', upper)
      assert.deepEqual(await context.within(child, listing), ['d/', 'd/kept "k"', 'd/new "n"'])
      await context.within(upper, (root) => context.within(child, (shown) => context.sameTree(root, shown)))
    },
  },
  {
    name: 'ten-layers',
    title: 'ten layers that are applied one upon the other show at each level what they add up to',
    async run(context) {
      let parent: LayerId | undefined
      for (let level = 0; level < 10; level++) {
        parent = await appliedLayer(
          context,
          `level${level}`,
          parent,
          { name: 'd/' },
          { name: `d/own${level}`, data: String(level) },
          { name: 'd/top', data: String(level) },
          ...(level < 2 ? [] : [{ name: `d/.wh.own${level - 2}` }]),
        )
        const own = [level - 1, level]
          .filter((index) => index >= 0)
          .map((index) => `d/own${index} "${index}"`)
        assert.deepEqual(await context.within(parent, listing), ['d/', ...own, `d/top "${level}"`])
      }
    },
  },
]

const formats: readonly CaseBody[] = [
  {
    name: 'pax-global-header',
    title: 'a PAX global header makes no file and no directory, and changes no entry',
    seen: 'moby: global headers create nothing',
    async run(context) {
      const entries: readonly RawEntry[] = [
        { name: 'nothing/pax_global_header', type: 'g', pax: { comment: 'of git archive', uid: '77' } },
        { name: 'f', data: 'f' },
        { name: 'nothing/again', type: 'g', pax: { path: 'other' } },
        { name: 'g', data: 'g' },
      ]
      await makesOf(context, entries, ['f "f"', 'g "g"'])
      assert.equal(await context.within(context.id('alone'), (root) => dress(root, 'f')), '0644 0:0')
    },
  },
  {
    name: 'ustar-prefix',
    title: 'the prefix field of a ustar header is the beginning of the name',
    seen: 'moby: ustar prefix',
    async run(context) {
      const prefix = `${'p'.repeat(80)}/${'q'.repeat(60)}`
      const bytes = Buffer.concat([patched({ name: 'name', data: 'x' }, 345, Buffer.from(prefix)), endMarker])
      const [top = '', below = ''] = prefix.split('/')
      await makes(context, () => inChunks(bytes), [`${top}/`, `${top}/${below}/`, `${prefix}/name "x"`])
    },
  },
  {
    name: 'gnu-long-names',
    title: 'GNU long names and long link targets are read whole',
    async run(context) {
      const [name, target] = [
        `${'n'.repeat(130)}/${'m'.repeat(130)}`,
        `${'t'.repeat(150)}/${'u'.repeat(150)}`,
      ]
      const long = (type: string, text: string): RawEntry => ({
        name: '././@LongLink',
        type,
        data: `${text}\0`,
      })
      const entries: readonly RawEntry[] = [
        long('L', name),
        { name: name.slice(0, 100), data: 'x' },
        long('K', target),
        { name: 's', type: '2', link: target.slice(0, 100) },
        long('L', `z${name}`),
        long('K', name),
        { name: `z${name}`.slice(0, 100), type: '1', link: name.slice(0, 100) },
      ]
      const [directoryName = ''] = name.split('/')
      await makesOf(context, entries, [
        `${directoryName}/`,
        `${name} "x"`,
        `s -> ${target}`,
        `z${directoryName}/`,
        `z${name} = ${name}`,
      ])
    },
  },
  {
    name: 'pax-long-names',
    title: 'PAX records for the path and the link target take the place of the fields in the header',
    async run(context) {
      const [name, target] = ['n'.repeat(200), `${'t'.repeat(200)}/${'u'.repeat(200)}`]
      const entries: readonly RawEntry[] = [
        { name: 'short', data: 'x', pax: { path: name } },
        { name: 's', type: '2', link: 'short', pax: { linkpath: target } },
        { name: 'h', type: '1', link: 'short', pax: { linkpath: name } },
      ]
      await makesOf(context, entries, ['h "x"', `${name} = h`, `s -> ${target}`])
    },
  },
  {
    name: 'pax-numbers',
    title: 'PAX records for size, owner and time take the place of the fields in the header',
    needs: anyOwner,
    async run(context) {
      const pax = { size: '7', uid: '3000000', gid: '4000000', mtime: '1000000000.5' }
      // The header itself says that nothing follows.
      const whole = entryBlocks({ name: 'f', data: 'content', pax })
      const [records, content] = [whole.subarray(0, 1024), whole.subarray(1536)]
      const bytes = Buffer.concat([
        records,
        entryBlocks({ name: 'f', uid: 1, mtime: '5' }),
        content,
        endMarker,
      ])
      await context.driver.create(context.id('made'))
      await context.driver.applyDiff(context.id('made'), undefined, inChunks(bytes))
      await context.within(context.id('made'), async (root) => {
        assert.deepEqual(await listing(root), ['f "content"'])
        assert.equal(await dress(root, 'f'), '0644 3000000:4000000')
        assert.equal(Math.floor(lstatSync(`${root}/f`).mtimeMs / 1000), 1_000_000_000)
      })
    },
  },
  {
    name: 'base-256-numbers',
    title: 'numbers in base 256, as GNU tar writes large ones, are read',
    needs: anyOwner,
    async run(context) {
      const number = (value: number, length: number): Buffer => {
        const bytes = Buffer.alloc(length)
        bytes.writeUIntBE(value, length - 6, 6)
        bytes[0] = 0x80
        return bytes
      }
      const fields = Buffer.concat([
        number(3_000_000, 8),
        number(4_000_000, 8),
        number(7, 12),
        number(1_000_000_000, 12),
      ])
      const bytes = Buffer.concat([patched({ name: 'f', data: 'content' }, 108, fields), endMarker])
      await makes(context, () => inChunks(bytes), ['f "content"'])
      await context.within(context.id('alone'), async (root) => {
        assert.equal(await dress(root, 'f'), '0644 3000000:4000000')
        assert.equal(lstatSync(`${root}/f`).mtimeMs, 1e12)
      })
    },
  },
  {
    name: 'sparse-file',
    title:
      'a sparse file of 9 GiB has its size, its data where they belong, and takes no more space than those',
    async run(context) {
      const gib = 1024 ** 3
      const map = `2\n${4 * gib + 7}\n5\n${9 * gib}\n0\n`
      const data = Buffer.concat([Buffer.from(map), Buffer.alloc(512 - map.length), Buffer.from('there')])
      const pax = {
        'GNU.sparse.major': '1',
        'GNU.sparse.minor': '0',
        'GNU.sparse.name': 'sparse',
        'GNU.sparse.realsize': String(9 * gib),
      }
      const entries: readonly RawEntry[] = [
        { name: 'GNUSparseFile.0/sparse', data, pax },
        { name: 'z', data: 'z' },
      ]
      const made = await appliedLayer(context, 'made', undefined, ...entries)
      await context.within(made, (root) => {
        const { size, blocks } = statSync(`${root}/sparse`)
        assert.equal(size, 9 * gib)
        assert(blocks * 512 < 64 * 1024 * 1024, `${blocks} blocks are allocated`)
        const [fd, found] = [openSync(`${root}/sparse`, 'r'), Buffer.alloc(7)]
        readSync(fd, found, 0, 7, 4 * gib + 6)
        closeSync(fd)
        assert.equal(found.toString(), '\0there\0')
        assert.equal(readFileSync(`${root}/z`, 'utf8'), 'z')
      })
    },
  },
]

const streams: readonly CaseBody[] = [
  {
    name: 'chunks-of-one-byte',
    title: 'a tar that comes in chunks of one byte is the same tar',
    async run(context) {
      await makes(context, () => inChunks(rawTar(...streamed), 1), streamedListing)
    },
  },
  {
    name: 'slow-chunks',
    title: 'a tar whose chunks each come in a later turn of the event loop is the same tar',
    async run(context) {
      await makes(context, () => afterTurns(inChunks(rawTar(...streamed), 300)), streamedListing)
    },
  },
  {
    name: 'empty-chunks',
    title: 'empty chunks in a stream mean nothing',
    async run(context) {
      await makes(context, () => betweenEmpty(inChunks(rawTar(...streamed), 512)), streamedListing)
    },
  },
  {
    name: 'reused-buffer',
    title: 'a source may use the buffer of a chunk again once it is asked for the next',
    async run(context) {
      await makes(context, () => inOneBuffer(rawTar(...streamed)), streamedListing)
    },
  },
  {
    name: 'read-to-the-end',
    title: 'a tar is read to the end of its stream, also past its end marker and whatever follows',
    seen: 'moby: who does not drain leaves the sender blocked',
    async run(context) {
      const { driver, id } = context
      for (const [index, rest] of [
        Buffer.alloc(0),
        Buffer.alloc(10_240),
        Buffer.alloc(300_000, 'x'),
      ].entries()) {
        let ended = false
        const source = async function* (): TarStream {
          yield* inChunks(rawTar({ name: 'f', data: 'f' }), 512)
          yield* inChunks(rest, 1024)
          ended = true
        }
        const made = id(`made${index}`)
        await driver.create(made)
        await driver.applyDiff(made, undefined, source())
        assert.equal(ended, true, `${rest.length} bytes after the end marker`)
        assert.deepEqual(await context.within(made, listing), ['f "f"'])
      }
    },
  },
  {
    name: 'empty-tar',
    title: 'a tar without entries adds nothing: two blocks of zeros, many, or no byte at all',
    seen: 'moby #18170',
    async run(context) {
      const { driver, id } = context
      const lower = await context.layer('lower', undefined, [file('f', 'f')])
      for (const length of [1024, 10_240, 0]) {
        for (const parent of [undefined, lower]) {
          const made = id(`${parent ?? 'base'}-${length}`)
          await driver.create(made, { parent })
          const chunks = afterTurns(inChunks(Buffer.alloc(length), 1024))
          assert.equal(await driver.applyDiff(made, parent, chunks), 0)
          assert.deepEqual(await context.within(made, listing), parent === undefined ? [] : ['f "f"'])
        }
      }
    },
  },
  {
    name: 'no-end-marker',
    title: 'a tar that ends after an entry and without its end marker is whole',
    async run(context) {
      const bytes = Buffer.concat([{ name: 'd/' }, { name: 'f', data: 'f' }].map(entryBlocks))
      await makes(context, () => inChunks(bytes), ['d/', 'f "f"'])
    },
  },
]

export const apply: readonly ConformanceCase[] = casesOf(
  'apply',
  ...trees,
  ...whiteouts,
  ...replacements,
  ...formats,
  ...streams,
  ...breakouts,
  ...damages,
)
