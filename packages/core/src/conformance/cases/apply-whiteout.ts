/** Deletions in a tar, as names: whiteouts, opaque markers, and what AUFS kept beside them. */
import assert from 'node:assert/strict'
import type { LayerId } from '../../id.ts'
import type { CaseBody } from '../case.ts'
import { unixNames } from './needs.ts'
import { directory, file, symlink } from '../recipe/step.ts'
import { inChunks, rawTar, type RawEntry } from '../tar/raw-tar.ts'
import { listing } from '../tree/listing.ts'
import { appliedLayer, makes, makesOf, treeWithContent, upon } from './applied-layer.ts'

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

export const whiteouts: readonly CaseBody[] = [
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
    needs: unixNames,
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
    name: 'opaque-after-whiteout',
    title: 'an opaque marker after a whiteout in its directory leaves nothing of either to be seen',
    async run(context) {
      await upon(
        context,
        treeWithContent,
        [{ name: 'x/' }, { name: 'x/.wh.old' }, { name: 'x/.wh..wh..opq' }, { name: 'x/new', data: 'new' }],
        ['x/', 'x/new "new"'],
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
