/** What a driver says was changed: what, as which kind, in which order, and nothing besides. */
import assert from 'node:assert/strict'
import { chmodSync, linkSync, rmSync, writeFileSync } from 'node:fs'
import type { Change } from '../../driver.ts'
import type { LayerId } from '../../id.ts'
import { type CaseBody, casesOf, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import {
  anyNames,
  allXattrs,
  anyOwner,
  attrCommands,
  securityXattrs,
  fineDifferences,
  netRawCapability,
} from './needs.ts'
import { changeManyFiles, manyFiles } from '../recipe/many-files.ts'
import { mixedBase, mixedChange } from '../recipe/mixed.ts'
import {
  append,
  attributes,
  directory,
  file,
  link,
  type Recipe,
  remove,
  rename,
  symlink,
  xattr,
} from '../recipe/step.ts'
import { readTar } from '../tar/read-tar.ts'
import { expectedChanges } from '../tree/expected-changes.ts'
import { bytePath, readTree } from '../tree/tree.ts'

/** The letters of docker diff. */
const letters: Readonly<Record<Change['kind'], string>> = { add: 'A', modify: 'C', delete: 'D' }

async function changesOf({ driver }: CaseContext, id: LayerId, parent?: LayerId): Promise<readonly string[]> {
  return lines(await driver.changes(id, parent))
}

function lines(list: readonly Change[]): readonly string[] {
  return list.map(({ kind, path }) => `${letters[kind]} ${path}`)
}

/** What a change of one thing must be reported as, on a tree that is the same for all. */
interface Report extends Omit<CaseBody, 'run'> {
  readonly change: Recipe
  readonly expected: readonly string[]
}

const reportedOn: Recipe = [
  directory('d'),
  file('d/f', 'content'),
  file('d/g'),
  symlink('d/l', 'f-one', { mtime: 1_222_222_222 }),
  directory('d/sub'),
  directory('d/sub/deep'),
  file('d/sub/deep/x'),
  file('top'),
]

const reports: readonly Report[] = [
  { name: 'nothing', title: 'a fresh child has no changes', change: [], expected: [] },
  {
    name: 'added',
    title: 'a new file is an addition, and its directory a modification',
    change: [file('d/new')],
    expected: ['C /d', 'A /d/new'],
  },
  {
    name: 'modified',
    title: 'a file that grew is a modification, and its directory too',
    change: [append('d/f', ' and more')],
    expected: ['C /d', 'C /d/f'],
  },
  {
    name: 'deleted',
    title: 'a file that is gone is a deletion, and its directory a modification',
    change: [remove('d/f')],
    expected: ['C /d', 'D /d/f'],
  },
  {
    name: 'at-the-top',
    title: 'changes right below the root come without any directory',
    change: [append('top', '!'), file('new')],
    expected: ['A /new', 'C /top'],
  },
  {
    name: 'directories-above',
    title: 'every directory above a change is a modification, up to the root',
    change: [append('d/sub/deep/x', '!')],
    expected: ['C /d', 'C /d/sub', 'C /d/sub/deep', 'C /d/sub/deep/x'],
  },
  {
    name: 'added-directory',
    title: 'a new directory is an addition, and so is each thing in it',
    change: [directory('new'), directory('new/sub'), file('new/sub/x'), symlink('new/l', 'sub')],
    expected: ['A /new', 'A /new/l', 'A /new/sub', 'A /new/sub/x'],
  },
  {
    name: 'deleted-directory',
    title: 'a directory that is gone is one deletion, whatever was in it',
    change: [remove('d')],
    expected: ['D /d'],
  },
  {
    name: 'file-to-directory',
    title: 'a file that became a directory is a modification, and what is in it additions',
    change: [remove('d/f'), directory('d/f'), file('d/f/x')],
    expected: ['C /d', 'C /d/f', 'A /d/f/x'],
  },
  {
    name: 'directory-to-file',
    title: 'a directory that became a file is one modification',
    seen: 'moby ChangesDirs',
    change: [remove('d/sub'), file('d/sub')],
    expected: ['C /d', 'C /d/sub'],
  },
  {
    name: 'type-changes',
    title: 'files and links that became one another are modifications',
    change: [
      remove('d/g'),
      symlink('d/g', 'f'),
      remove('d/l'),
      file('d/l'),
      remove('d/sub'),
      symlink('d/sub', 'f'),
    ],
    expected: ['C /d', 'C /d/g', 'C /d/l', 'C /d/sub'],
  },
  {
    name: 'mode',
    title: 'a change of a mode alone is a modification, of files and of directories',
    change: [attributes('d/f', { mode: 0o600 }), attributes('d/sub/deep', { mode: 0o700 })],
    expected: ['C /d', 'C /d/f', 'C /d/sub', 'C /d/sub/deep'],
  },
  {
    name: 'owner',
    title: 'a change of an owner alone is a modification, of files, directories and links',
    needs: anyOwner,
    change: [
      attributes('d/f', { uid: 1 }),
      attributes('d/l', { gid: 2 }),
      attributes('d/sub/deep', { uid: 3, gid: 4 }),
    ],
    expected: ['C /d', 'C /d/f', 'C /d/l', 'C /d/sub', 'C /d/sub/deep'],
  },
  {
    name: 'mtime',
    title: 'a change of a file’s modification time alone is a modification',
    change: [attributes('d/f', { mtime: 1_234_567_890 })],
    expected: ['C /d', 'C /d/f'],
  },
  {
    name: 'capability',
    title: 'a capability that a file was given is a modification',
    needs: securityXattrs,
    requires: attrCommands,
    change: [xattr('d/f', 'security.capability', netRawCapability)],
    expected: ['C /d', 'C /d/f'],
  },
  {
    name: 'xattr',
    title: 'a change of an extended attribute alone is a modification, of files and of directories',
    needs: allXattrs,
    requires: attrCommands,
    change: [xattr('d/f', 'user.mine', 'value'), xattr('d/sub', 'user.mine', 'value')],
    expected: ['C /d', 'C /d/f', 'C /d/sub'],
  },
  {
    name: 'symlink-target',
    title:
      'a symbolic link that points elsewhere, with a target as long and a time as before, is a modification',
    change: [remove('d/l'), symlink('d/l', 'f-two', { mtime: 1_222_222_222 })],
    expected: ['C /d', 'C /d/l'],
  },
  {
    name: 'directory-time',
    title: 'the time of a directory is no change',
    seen: 'https://github.com/moby/moby/issues/9874',
    change: [attributes('d', { mtime: 1_234_567_890 }), attributes('d/sub', { mtime: 1_234_567_890 })],
    expected: [],
  },
  {
    name: 'made-and-deleted',
    title: 'what was made and deleted in the same layer is no change',
    change: [file('d/new'), directory('made'), file('made/x'), remove('d/new'), remove('made')],
    expected: [],
  },
  {
    name: 'renamed',
    title: 'a renamed file is a deletion and an addition',
    change: [rename('d/f', 'd/sub/f')],
    expected: ['C /d', 'D /d/f', 'C /d/sub', 'A /d/sub/f'],
  },
  {
    name: 'root',
    title: 'the root is never listed, not even when its mode changed',
    change: [attributes('', { mode: 0o711 }), file('new')],
    expected: ['A /new'],
  },
  {
    name: 'order',
    title: 'changes are sorted by the bytes of their whole paths, so that /a-b stands between /a and /a/x',
    seen: 'moby ExportChanges',
    change: [
      file('é'),
      file('Z'),
      directory('a'),
      file('a/x'),
      file('a-b'),
      file('a0'),
      directory('a/X'),
      file('ab'),
      directory('a.d'),
      file('a.d/y'),
      file('~'),
      remove('top'),
    ],
    expected: [
      'A /Z',
      'A /a',
      'A /a-b',
      'A /a.d',
      'A /a.d/y',
      'A /a/X',
      'A /a/x',
      'A /a0',
      'A /ab',
      'D /top',
      'A /~',
      'A /é',
    ],
  },
  {
    name: 'directory-made-anew',
    title: 'of a directory made anew exactly what is gone, what changed and what is new is listed',
    seen: 'https://github.com/moby/moby/issues/25244',
    change: [
      remove('d'),
      directory('d'),
      file('d/f', 'another content'),
      directory('d/sub'),
      file('d/sub/new'),
      file('d/new'),
    ],
    expected: ['C /d', 'C /d/f', 'D /d/g', 'D /d/l', 'A /d/new', 'C /d/sub', 'D /d/sub/deep', 'A /d/sub/new'],
  },
]

/** What in a tar would hide a name: its whiteout, or a mark on a directory above it. */
function hidingNames(name: string): readonly string[] {
  const parts = name.split('/')
  const above = parts.slice(0, -1)
  const marks = above.map((_, depth) => [...parts.slice(0, depth + 1), '.wh..wh..opq'].join('/'))
  return [...marks, [...above, `.wh.${parts.at(-1)}`].join('/')]
}

/** Directories in one another, from `d1` down, as paths. */
function nested(depth: number): readonly string[] {
  return Array.from({ length: depth }, (_, level) =>
    Array.from({ length: level + 1 }, (__, index) => `d${index + 1}`).join('/'),
  )
}

export const changes: readonly ConformanceCase[] = casesOf(
  'changes',
  ...reports.map(({ change, expected, ...rest }): CaseBody => ({
    ...rest,
    async run(context) {
      const base = await context.layer('base', undefined, reportedOn)
      const child = await context.layer('child1', base, change)
      assert.deepEqual(await changesOf(context, child, base), expected)
    },
  })),
  {
    name: 'hard-link',
    title: 'a new name for a file of the parent is an addition, and the file itself is no change',
    async run(context) {
      const base = await context.layer('base', undefined, [directory('d'), file('d/f')])
      const child = await context.layer('child', base)
      await context.within(child, (root) => linkSync(`${root}/d/f`, `${root}/new`))
      assert.deepEqual(await changesOf(context, child, base), ['A /new'])
    },
  },
  {
    name: 'changed-and-back',
    title: 'a mode that was changed and changed back is no change',
    async run(context) {
      const base = await context.layer('base', undefined, [directory('d'), file('d/f')])
      const child = await context.layer('child', base)
      await context.within(child, (root) => {
        chmodSync(`${root}/d/f`, 0o600)
        chmodSync(`${root}/d`, 0o700)
      })
      await context.within(child, (root) => {
        chmodSync(`${root}/d/f`, 0o644)
        chmodSync(`${root}/d`, 0o755)
      })
      assert.deepEqual(await changesOf(context, child, base), [])
    },
  },
  {
    name: 'rewritten-alike',
    title: 'a file deleted and made anew just as it was is a modification or nothing at all',
    async run(context) {
      const base = await context.layer('base', undefined, [file('f', 'content'), file('g')])
      // A recipe gives the files of layers without a number the same times.
      const child = await context.layer('child', base, [remove('f'), file('f', 'content')])
      for (const change of await changesOf(context, child, base)) assert.equal(change, 'C /f')
    },
  },
  {
    name: 'same-second-same-size',
    title: 'a file rewritten with the same size within the same second is a modification, five times running',
    seen: 'https://github.com/moby/moby/issues/21555; moby skips graphtest Changes for it on overlay2',
    needs: fineDifferences,
    async run(context) {
      const rounds = Array.from({ length: 5 }, (_, round) => [
        file('f', `round ${round}`, { mtime: 1_400_000_000 + (round + 1) / 10 }),
      ])
      const [first, ...others] = await context.stack('l', ...rounds)
      let parent = first
      for (const layer of others) {
        assert.deepEqual(await changesOf(context, layer, parent), ['C /f'])
        parent = layer
      }
    },
  },
  {
    name: 'many',
    title:
      'of twenty files a third rewritten, a third given neighbours and a third deleted are listed exactly',
    seen: 'moby graphtest Changes',
    async run(context) {
      const { recipe, changes: expected } = changeManyFiles(20, 6)
      const [base, upper] = await context.stack('l', manyFiles(20, 3), recipe)
      assert(upper !== undefined)
      assert.deepEqual(await changesOf(context, upper, base), lines(expected))
    },
  },
  {
    name: 'directories-side-by-side',
    title: 'a tree in which everything was done once to files, directories and links is listed exactly',
    seen: 'moby ChangesDirs',
    async run(context) {
      const numbered = (name: string, last: number): readonly string[] =>
        Array.from({ length: last }, (_, index) => `${name}${index + 1}`)
      const before: Recipe = [
        ...numbered('dir', 3).flatMap((name) => [
          directory(name),
          file(`${name}/file1-1`),
          file(`${name}/file1-2`),
        ]),
        ...numbered('file', 5).map((name) => file(name)),
        ...numbered('symlink', 3).map((name) => symlink(name, 'file1')),
      ]
      const mutated: Recipe = [
        remove('dir1'),
        remove('dir2'),
        file('dir2'),
        directory('dirnew'),
        remove('file1'),
        append('file2', 'more'),
        attributes('file3', { mode: 0o600 }),
        attributes('file4', { mtime: 1_234_567_890 }),
        remove('file5'),
        directory('file5'),
        file('filenew'),
        remove('symlink1'),
        remove('symlink2'),
        symlink('symlink2', 'target2'),
        symlink('symlinknew', 'target'),
        attributes('dir3', { mtime: 1_234_567_890 }),
      ]
      const [base, child] = await context.stack('l', before, mutated)
      assert(child !== undefined)
      assert.deepEqual(await changesOf(context, child, base), [
        'D /dir1',
        'C /dir2',
        'A /dirnew',
        'D /file1',
        'C /file2',
        'C /file3',
        'C /file4',
        'C /file5',
        'A /filenew',
        'D /symlink1',
        'C /symlink2',
        'A /symlinknew',
      ])
    },
  },
  {
    name: 'echo',
    title: 'nested directories deleted at any depth and made again in the next layer are listed exactly',
    seen: 'containers/storage Echo',
    async run(context) {
      const paths = nested(10)
      const base = await context.layer(
        'base',
        undefined,
        paths.map((path) => directory(path)),
      )
      assert.deepEqual(
        await changesOf(context, base),
        paths.map((path) => `A /${path}`),
      )
      for (const [depth, path] of paths.entries()) {
        const above = paths.slice(0, depth).map((name) => `C /${name}`)
        const below = paths.slice(depth)
        const second = await context.layer(`second-${depth}`, base, [remove(path)])
        assert.deepEqual(await changesOf(context, second, base), [...above, `D /${path}`])
        const third = await context.layer(
          `third-${depth}`,
          second,
          below.map((name) => directory(name)),
        )
        const added = below.map((name) => `A /${name}`)
        assert.deepEqual(await changesOf(context, third, second), [...above, ...added])
        assert.deepEqual(await changesOf(context, third, base), [])
      }
    },
  },
  {
    name: 'identical-copies',
    title: 'one new file in a copy of directories that are the same is listed with the directories above it',
    seen: 'https://github.com/moby/moby/issues/13590',
    async run(context) {
      const tree = [directory('dir1'), directory('dir1/dir2'), directory('dir1/dir2/dir3')]
      const base = await context.layer('base', undefined, [
        ...tree,
        file('dir1/dir2/file'),
        file('dir1/dir2/dir3/old'),
      ])
      // Both layers give what they touch the same times.
      const child = await context.layer('child', base, [
        rename('dir1', 'copy'),
        rename('copy', 'dir1'),
        file('dir1/dir2/dir3/file1.txt'),
      ])
      assert.deepEqual(await changesOf(context, child, base), [
        'C /dir1',
        'C /dir1/dir2',
        'C /dir1/dir2/dir3',
        'A /dir1/dir2/dir3/file1.txt',
      ])
    },
  },
  {
    name: 'two-layers-up',
    title: 'each layer of a stack has exactly the file that was added in it',
    seen: 'moby aufs Changes',
    async run(context) {
      const [one, two, three] = await context.stack('l', [], [file('test.txt')], [file('test2.txt')])
      assert(two !== undefined && three !== undefined)
      assert.deepEqual(await changesOf(context, two, one), ['A /test.txt'])
      assert.deepEqual(await changesOf(context, three, two), ['A /test2.txt'])
    },
  },
  {
    name: 'third-layer-on-directory-made-anew',
    title: 'an addition to a directory that the layer below made anew is all that is listed',
    seen: 'containerd RemoveDirectoryInLowerLayer',
    async run(context) {
      const [base, second, third] = await context.stack(
        'l',
        [directory('d'), file('d/first')],
        [remove('d'), directory('d'), file('d/second')],
        [file('d/third')],
      )
      assert(second !== undefined && third !== undefined)
      assert.deepEqual(await changesOf(context, second, base), ['C /d', 'D /d/first', 'A /d/second'])
      assert.deepEqual(await changesOf(context, third, second), ['C /d', 'A /d/third'])
    },
  },
  {
    name: 'against-nothing',
    title: 'against nothing everything in the layer and in the layers below is an addition',
    async run(context) {
      const [, layer] = await context.stack('l', mixedBase, mixedChange)
      assert(layer !== undefined)
      const tree = await context.within(layer, readTree)
      const expected = [...tree.keys()].filter((name) => name !== '').map((name) => `A /${name}`)
      assert.deepEqual(await changesOf(context, layer), expected)
    },
  },
  {
    name: 'as-trees-differ',
    title: 'changes are exactly what two trees, read by other means, differ in',
    async run(context) {
      const { driver } = context
      const [base, layer] = await context.stack('l', mixedBase, mixedChange)
      assert(layer !== undefined)
      const before = await context.within(base, readTree)
      const after = await context.within(layer, readTree)
      assert.deepEqual(await driver.changes(layer, base), expectedChanges(before, after))
    },
  },
  {
    name: 'against-grandparent',
    title: 'against the grandparent the changes of both layers are one list',
    async run(context) {
      const { driver } = context
      const top = [
        append('grows', '!'),
        remove('added/empty'),
        file('dir/third'),
        remove('dir/new'),
        file('gone', 'back'),
      ]
      const [base, , layer] = await context.stack('l', mixedBase, mixedChange, top)
      assert(layer !== undefined)
      const before = await context.within(base, readTree)
      const after = await context.within(layer, readTree)
      assert.deepEqual(await driver.changes(layer, base), expectedChanges(before, after))
    },
  },
  {
    name: 'against-child',
    title: 'a parent against its child has the child’s changes the other way round',
    async run(context) {
      const base = await context.layer('base', undefined, reportedOn)
      const child = await context.layer('child1', base, [file('d/new'), remove('d/sub'), append('d/f', '!')])
      assert.deepEqual(await changesOf(context, base, child), [
        'C /d',
        'C /d/f',
        'D /d/new',
        'A /d/sub',
        'A /d/sub/deep',
        'A /d/sub/deep/x',
      ])
    },
  },
  {
    name: 'while-mounted',
    title: 'the changes of a mounted layer have what was written a moment ago',
    seen: 'docker diff of a running container',
    async run(context) {
      const base = await context.layer('base', undefined, reportedOn)
      const container = await context.writable('container', base)
      const { path } = await context.mount(container)
      writeFileSync(`${path}/d/f`, 'something longer than it was')
      rmSync(`${path}/top`)
      assert.deepEqual(await changesOf(context, container, base), ['C /d', 'C /d/f', 'D /top'])
      writeFileSync(`${path}/new`, '')
      assert.deepEqual(await changesOf(context, container, base), ['C /d', 'C /d/f', 'A /new', 'D /top'])
    },
  },
  {
    name: 'names-of-any-bytes',
    title: 'names that are not UTF-8 do not keep other changes from being listed, each once',
    needs: anyNames,
    async run(context) {
      const base = await context.layer('base', undefined, [file('f')])
      await context.within(base, (root) => writeFileSync(bytePath(root, 'gone\xff'), ''))
      const child = await context.layer('child1', base, [append('f', '!'), directory('z'), file('z/x')])
      await context.within(child, (root) => {
        writeFileSync(bytePath(root, 'caf\xe9'), '')
        rmSync(bytePath(root, 'gone\xff'))
      })
      const found = await changesOf(context, child, base)
      const [odd, plain] = [
        found.filter((line) => /[^ -~]/.test(line)),
        found.filter((line) => !/[^ -~]/.test(line)),
      ]
      assert.deepEqual(plain, ['C /f', 'A /z', 'A /z/x'])
      assert.deepEqual(
        odd.map((line) => line.slice(0, 6)),
        ['A /caf', 'D /gon'],
      )
    },
  },
  {
    name: 'as-the-diff',
    title:
      'what changes lists as added or modified is in the diff, and what it lists as deleted is hidden by it',
    async run(context) {
      const { driver } = context
      const [base, layer] = await context.stack('l', mixedBase, mixedChange)
      assert(layer !== undefined)
      const tar = new Set(
        (await readTar(driver.diff(layer, base))).map(({ name }) => name.replace(/\/$/, '')),
      )
      for (const { path, kind } of await driver.changes(layer, base)) {
        const name = path.slice(1)
        const shown = kind === 'delete' ? hidingNames(name).some((hiding) => tar.has(hiding)) : tar.has(name)
        assert(shown, `${kind} of ${path} is not in the diff`)
      }
    },
  },
  {
    name: 'second-names',
    title: 'files with several names are listed under each of them',
    async run(context) {
      const recipe = [directory('d'), file('d/f'), link('d/second', 'd/f'), link('third', 'd/f')]
      const [base, layer] = await context.stack('l', [], recipe)
      assert(layer !== undefined)
      assert.deepEqual(await changesOf(context, layer, base), ['A /d', 'A /d/f', 'A /d/second', 'A /third'])
    },
  },
)
