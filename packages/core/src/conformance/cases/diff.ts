/** A layer as a tar: what is in it, what is not, and that it makes the same layer elsewhere. */
import assert from 'node:assert/strict'
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { LayerId } from '../../id.ts'
import { type CaseBody, casesOf, type ConformanceCase } from '../case.ts'
import { type CaseContext, rootIsOwn } from '../context.ts'
import { mountsBelow } from '../host/mount-table.ts'
import {
  allXattrs,
  anyNames,
  anyOwner,
  attrCommands,
  fineDifferences,
  hardLinks,
  netRawCapability,
  securityXattrs,
  unixNames,
} from './needs.ts'
import { manyFiles, rewrittenFiles } from '../recipe/many-files.ts'
import { mixedBase, mixedChange } from '../recipe/mixed.ts'
import {
  append,
  attributes,
  contentBytes,
  device,
  directory,
  fifo,
  file,
  link,
  type Recipe,
  remove,
  rename,
  socket,
  symlink,
  xattr,
} from '../recipe/step.ts'
import { inChunks } from '../tar/raw-tar.ts'
import { collect, type ReadEntry, readTar } from '../tar/read-tar.ts'
import type { Exception } from '../tree/comparison.ts'
import { bytePath, readTree } from '../tree/tree.ts'
import { rebuild } from './rebuild.ts'

function entriesOf({ driver }: CaseContext, id: LayerId, parent?: LayerId): Promise<readonly ReadEntry[]> {
  return readTar(driver.diff(id, parent))
}

async function namesIn(context: CaseContext, id: LayerId, parent?: LayerId): Promise<readonly string[]> {
  return (await entriesOf(context, id, parent)).map(({ name }) => name)
}

/** The directory that an entry is in, as the tar names it; undefined at the top. */
function parentOf(name: string): string | undefined {
  const end = name.replace(/\/$/, '').lastIndexOf('/')
  return end < 0 ? undefined : name.slice(0, end + 1)
}

/** The one entry of a name. */
function entryOf(entries: readonly ReadEntry[], wanted: string): ReadEntry {
  const [found, ...others] = entries.filter(({ name }) => name === wanted)
  const names = entries.map(({ name }) => name).join(' ')
  assert(found !== undefined, `no entry ${wanted} among: ${names}`)
  assert.equal(others.length, 0, `${wanted} is there more than once`)
  return found
}

/** A layer whose tar has a bit of everything, and what it is on. */
async function mixed(context: CaseContext): Promise<readonly [base: LayerId, layer: LayerId]> {
  const base = await context.layer('base', undefined, mixedBase)
  return [base, await context.layer('layer1', base, mixedChange)]
}

interface Replay extends Omit<CaseBody, 'run'> {
  readonly recipes: readonly Recipe[]
}

const replays: readonly Replay[] = [
  {
    name: 'replay-mixed',
    title: 'the diffs of a stack, applied one after another, make every level of it again',
    recipes: [mixedBase, mixedChange, [], [remove('remade'), file('remade'), file('last')]],
  },
  {
    name: 'diff-apply',
    title:
      'ten files rewritten with the same size, a file and a directory deleted: applying the diff does all of it',
    seen: 'moby graphtest DiffApply',
    recipes: [
      [...manyFiles(10, 3), file('file-remove.txt'), directory('var'), directory('var/lib')],
      [...rewrittenFiles(10, 6), remove('file-remove.txt'), remove('var/lib')],
    ],
  },
  {
    name: 'file-to-directory',
    title: 'a file that became a directory is one after applying',
    recipes: [[file('x')], [remove('x'), directory('x'), file('x/y')]],
  },
  {
    name: 'directory-to-file',
    title: 'a directory that became a file is one after applying, and its content is gone',
    recipes: [
      [directory('x'), directory('x/y'), file('x/y/z')],
      [remove('x'), file('x')],
    ],
  },
  {
    name: 'file-to-symlink',
    title: 'a file that became a symbolic link is one after applying, and what it points to is as before',
    recipes: [
      [file('x'), file('target')],
      [remove('x'), symlink('x', 'target')],
    ],
  },
  {
    name: 'symlink-to-file',
    title:
      'a symbolic link that became a file is one after applying, and where it pointed nothing was written',
    recipes: [
      [file('target'), symlink('x', 'target')],
      [remove('x'), file('x', 'own')],
    ],
  },
  {
    name: 'directory-to-symlink',
    title: 'a directory that became a symbolic link to another shows the other’s content after applying',
    recipes: [
      [directory('x'), file('x/y'), directory('other'), file('other/z')],
      [remove('x'), symlink('x', 'other')],
    ],
  },
  {
    name: 'symlink-to-directory',
    title: 'a symbolic link to a directory that became a directory leaves the other directory as it was',
    recipes: [
      [directory('other'), file('other/z'), symlink('x', 'other')],
      [remove('x'), directory('x'), file('x/y')],
    ],
  },
  {
    name: 'directory-made-anew',
    title: 'a directory that was removed and made anew shows nothing of the old one after applying',
    seen: 'https://github.com/moby/moby/issues/25244',
    recipes: [
      [directory('d'), file('d/old'), directory('d/sub'), file('d/sub/old'), file('d/both', 'old')],
      [remove('d'), directory('d', { mode: 0o711 }), file('d/new'), file('d/both', 'newer')],
    ],
  },
  {
    name: 'directory-made-anew-empty',
    title: 'a directory that was removed and made anew without content is empty after applying',
    recipes: [
      [directory('d'), file('d/old'), directory('d/sub'), file('d/sub/old')],
      [remove('d'), directory('d')],
    ],
  },
  {
    name: 'directory-made-anew-deep',
    title: 'directories made anew inside one another hide what each of them had',
    recipes: [
      [
        directory('a'),
        directory('a/b'),
        directory('a/b/c'),
        file('a/b/c/old'),
        file('a/b/old'),
        file('a/old'),
      ],
      [remove('a'), directory('a'), directory('a/b'), directory('a/b/c'), file('a/b/c/new')],
    ],
  },
  {
    name: 'third-layer-on-directory-made-anew',
    title: 'a third layer that adds to a directory made anew by the second brings nothing of the first back',
    seen: 'containerd RemoveDirectoryInLowerLayer',
    recipes: [
      [directory('d'), file('d/first')],
      [remove('d'), directory('d'), file('d/second')],
      [file('d/third')],
      [remove('d/second'), attributes('d', { mode: 0o700 })],
    ],
  },
  {
    name: 'gone-and-back',
    title: 'a name that comes and goes from layer to layer is there and not there after applying each',
    recipes: [
      [directory('d'), file('d/x', 'one')],
      [remove('d')],
      [directory('d'), file('d/x', 'three')],
      [remove('d/x')],
      [file('d/x', 'fifth')],
    ],
  },
  {
    name: 'file-made-anew',
    title: 'a file that was deleted and made anew in one layer is the new one after applying',
    recipes: [
      [directory('d'), file('d/x', 'the old content', { mode: 0o600 }), file('d/y')],
      [remove('d/x'), file('d/x', 'new', { mode: 0o640 })],
    ],
  },
  {
    name: 'everything-deleted',
    title: 'a layer that deletes everything leaves nothing after applying',
    recipes: [
      [directory('d'), file('d/x'), file('f'), symlink('l', 'f')],
      [remove('d'), remove('f'), remove('l')],
    ],
  },
  {
    name: 'rename-directory',
    title: 'a directory that was moved is under its new name alone after applying',
    seen: 'containerd Rename',
    recipes: [
      [directory('old'), directory('old/sub'), file('old/sub/file'), directory('to')],
      [rename('old', 'to/new')],
      [file('to/new/sub/more'), remove('to/new/sub/file')],
    ],
  },
  {
    name: 'rename-over',
    title: 'a file that was renamed over another is there once after applying, with its own content',
    seen: 'containerd Rename',
    recipes: [
      [directory('d'), file('d/from', 'from'), file('d/onto', 'the content that went')],
      [rename('d/from', 'd/onto')],
    ],
  },
  {
    name: 'names',
    title: 'names with spaces, quotes, control characters, other scripts and 255 bytes come through a diff',
    needs: unixNames,
    recipes: [
      [
        directory('with space '),
        file('with space /"quoted" \\ and $more'),
        file('line\nbreak\ttab'),
        file('ünïcödé 漢字'),
        file(`${'long-'.repeat(51)}`),
        directory('..dots'),
        file('..dots/...'),
        file('-dash'),
        file('.w'),
        file('*glob?[a]'),
      ],
      [
        remove('line\nbreak\ttab'),
        remove(`${'long-'.repeat(51)}`),
        remove('..dots/...'),
        file('with space /n'),
      ],
    ],
  },
  {
    name: 'long-paths',
    title: 'paths and link targets beyond what a tar header has room for come through a diff',
    recipes: [
      [
        ...Array.from({ length: 12 }, (_, depth) =>
          directory(
            Array(depth + 1)
              .fill('directory-of-30-characters-123')
              .join('/'),
          ),
        ),
        file(`${Array(12).fill('directory-of-30-characters-123').join('/')}/${'f'.repeat(200)}`),
        symlink('far', `${'target/'.repeat(40)}end`),
        link('near', `${Array(12).fill('directory-of-30-characters-123').join('/')}/${'f'.repeat(200)}`),
      ],
    ],
  },
  {
    name: 'chown-levels',
    title:
      'owner changes alone, on three levels of directories and over three layers, are all there after applying',
    seen: 'containerd Chown; https://github.com/moby/moby/issues/20240, 24913 and 28391',
    needs: anyOwner,
    recipes: [
      [
        directory('opt'),
        directory('opt/a'),
        directory('opt/a/b'),
        file('opt/a/b/file.txt'),
        file('opt/a/other'),
      ],
      [attributes('opt', { uid: 1, gid: 1 }), attributes('opt/a/b/file.txt', { uid: 2, gid: 2 })],
      [attributes('opt/a', { uid: 3, gid: 4 }), attributes('opt/a/b', { gid: 5 })],
      [attributes('opt', { uid: 0, gid: 0 }), attributes('opt/a/b/file.txt', { gid: 7 })],
    ],
  },
  {
    name: 'directory-permissions',
    title:
      'owners and modes of directories that were changed, filled or made anew over three layers are right',
    seen: 'containerd DirectoryPermissionOnCommit; https://github.com/moby/moby/issues/27298',
    needs: anyOwner,
    recipes: [
      [
        directory('d1', { mode: 0o700 }),
        directory('d2', { mode: 0o711, uid: 1, gid: 1 }),
        directory('d3', { mode: 0o1777 }),
        file('d3/f'),
        directory('d4', { mode: 0o2755, gid: 5 }),
        directory('d4/sub', { mode: 0o750, uid: 4 }),
        file('d4/sub/f'),
      ],
      [
        attributes('d1', { uid: 1, gid: 2 }),
        file('d2/f'),
        remove('d3'),
        directory('d3', { mode: 0o755, uid: 7, gid: 7 }),
        file('d4/sub/g', 'g', { uid: 9 }),
      ],
      [
        file('d1/f'),
        attributes('d2/f', { mode: 0o4711 }),
        file('d3/f', 'again', { uid: 7 }),
        remove('d4/sub'),
        directory('d4/sub', { mode: 0o700 }),
      ],
    ],
  },
  {
    name: 'owners-and-modes',
    title: 'large owner numbers, set-id and sticky bits of files, directories and links come through a diff',
    needs: anyOwner,
    recipes: [
      [
        file('large', 'x', { uid: 3_000_000, gid: 4_000_000_000 }),
        file('suid', 'x', { mode: 0o4711, uid: 1000, gid: 1000 }),
        file('sgid', 'x', { mode: 0o2711, uid: 1000, gid: 1000 }),
        directory('sticky', { mode: 0o1777, uid: 1, gid: 2 }),
        file('none', 'x', { mode: 0 }),
        symlink('link', 'nowhere', { uid: 3, gid: 4 }),
      ],
      [
        attributes('large', { gid: 5 }),
        attributes('link', { uid: 4_000_000_000 }),
        attributes('none', { mode: 0o7777 }),
      ],
    ],
  },
  {
    name: 'special-files',
    title: 'devices and pipes come through a diff with their numbers, and so do their deletions',
    needs: (capabilities) =>
      capabilities.deviceNodes ? anyOwner(capabilities) : 'device nodes cannot be made here',
    requires: [
      { root: true },
      { command: 'mknod', package: 'coreutils' },
      { command: 'mkfifo', package: 'coreutils' },
    ],
    recipes: [
      [
        directory('dev'),
        device('dev/null', 'c', [1, 3], { mode: 0o666 }),
        device('dev/loop', 'b', [7, 300], { mode: 0o660, gid: 6 }),
        fifo('dev/pipe', { mode: 0o644, uid: 1 }),
        device('dev/gone', 'c', [1, 5]),
      ],
      [
        remove('dev/gone'),
        remove('dev/pipe'),
        device('dev/pipe', 'c', [5, 0]),
        remove('dev/null'),
        fifo('dev/null'),
      ],
    ],
  },
  {
    name: 'xattrs-replayed',
    title:
      'extended attributes of files and directories come through a diff, and so does their removal with the file',
    needs: allXattrs,
    requires: attrCommands,
    recipes: [
      [
        file('f'),
        xattr('f', 'user.first', 'value'),
        directory('d'),
        xattr('d', 'user.binary', '0x00ff0a3d'),
        file('p'),
      ],
      [
        xattr('f', 'user.second', 'more'),
        xattr('p', 'security.capability', netRawCapability),
        xattr('d', 'user.binary', '0x01'),
      ],
      [remove('f'), file('f', 'plain')],
    ],
  },
]

/** Something of one entry changes and nothing else, which must be enough to bring it. */
interface Touch extends Omit<CaseBody, 'run'> {
  readonly change: Recipe
  readonly entry: string
  readonly shows: (entry: ReadEntry) => unknown
  readonly expected: unknown
}

const touched: Recipe = [
  directory('d'),
  file('d/f', 'content'),
  symlink('d/l', 'f-one', { mtime: 1_222_222_222 }),
  directory('d/sub'),
  file('d/sub/x'),
]

const touches: readonly Touch[] = [
  {
    name: 'mode-only',
    title: 'a change of a file’s mode alone brings the file with its content',
    change: [attributes('d/f', { mode: 0o751 })],
    entry: 'd/f',
    shows: ({ mode, text }) => [mode.toString(8), text],
    expected: ['751', 'content'],
  },
  {
    name: 'directory-mode-only',
    title: 'a change of a directory’s mode alone brings the directory',
    change: [attributes('d/sub', { mode: 0o1700 })],
    entry: 'd/sub/',
    shows: ({ mode }) => mode.toString(8),
    expected: '1700',
  },
  {
    name: 'owner-only',
    title: 'a change of a file’s owner alone brings the file with its content',
    seen: 'https://github.com/moby/moby/issues/20240',
    needs: anyOwner,
    change: [attributes('d/f', { uid: 1234 })],
    entry: 'd/f',
    shows: ({ owner, text }) => [owner, text],
    expected: ['1234:0', 'content'],
  },
  {
    name: 'group-only',
    title: 'a change of a directory’s group alone brings the directory',
    needs: anyOwner,
    change: [attributes('d/sub', { gid: 77 })],
    entry: 'd/sub/',
    shows: ({ owner }) => owner,
    expected: '0:77',
  },
  {
    name: 'symlink-owner-only',
    title: 'a change of a symbolic link’s owner alone brings the link',
    needs: anyOwner,
    change: [attributes('d/l', { uid: 5, gid: 6 })],
    entry: 'd/l',
    shows: ({ owner, link: target }) => [owner, target],
    expected: ['5:6', 'f-one'],
  },
  {
    name: 'mtime-only',
    title: 'a change of a file’s modification time alone brings the file with its content',
    change: [attributes('d/f', { mtime: 1_234_567_890 })],
    entry: 'd/f',
    shows: ({ mtime, text }) => [Number(mtime), text],
    expected: [1_234_567_890, 'content'],
  },
  {
    name: 'capability-only',
    title: 'a file capability that was given brings the file with it',
    needs: securityXattrs,
    requires: attrCommands,
    change: [xattr('d/f', 'security.capability', netRawCapability)],
    entry: 'd/f',
    shows: ({ xattrs, text }) => [xattrs, text],
    expected: [['security.capability'], 'content'],
  },
  {
    name: 'xattr-only',
    title: 'a change of a file’s extended attribute alone brings the file with it',
    needs: allXattrs,
    requires: attrCommands,
    change: [xattr('d/f', 'user.mine', 'value')],
    entry: 'd/f',
    shows: ({ xattrs, text }) => [xattrs, text],
    expected: [['user.mine'], 'content'],
  },
  {
    name: 'directory-xattr-only',
    title: 'a change of a directory’s extended attribute alone brings the directory with it',
    needs: allXattrs,
    requires: attrCommands,
    change: [xattr('d/sub', 'user.mine', 'value')],
    entry: 'd/sub/',
    shows: ({ xattrs }) => xattrs,
    expected: ['user.mine'],
  },
  {
    name: 'symlink-target-only',
    title: 'a symbolic link that points elsewhere, with a target as long and a time as before, is in the tar',
    change: [remove('d/l'), symlink('d/l', 'f-two', { mtime: 1_222_222_222 })],
    entry: 'd/l',
    shows: ({ type, link: target }) => [type, target],
    expected: ['symlink', 'f-two'],
  },
]

async function touch(
  context: CaseContext,
  { change, entry, shows, expected }: Omit<Touch, keyof CaseBody>,
): Promise<void> {
  const base = await context.layer('base', undefined, touched)
  const child = await context.layer('child1', base, change)
  const entries = await entriesOf(context, child, base)
  assert.deepEqual(shows(entryOf(entries, entry)), expected)
}

const linksMayPart: Exception = { aspect: 'hardlink', reason: 'the layer has one of the names only' }

export const diff: readonly ConformanceCase[] = casesOf(
  'diff',
  {
    name: 'empty-tar',
    title: 'the diff of an empty layer is 1024 zero bytes',
    seen: 'moby layer EmptyLayer',
    async run({ driver, id }) {
      await driver.create(id('empty'))
      assert(Buffer.alloc(1024).equals(await collect(driver.diff(id('empty'), undefined))))
    },
  },
  {
    name: 'unchanged-child',
    title: 'the diff of a child that changed nothing is 1024 zero bytes',
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, mixedBase)
      const child = await context.layer('child', base)
      assert(Buffer.alloc(1024).equals(await collect(driver.diff(child, base))))
    },
  },
  {
    name: 'reading-is-no-change',
    title: 'a layer whose files were only read has nothing in its diff',
    async run(context) {
      const base = await context.layer('base', undefined, mixedBase)
      const child = await context.layer('child', base)
      await context.within(child, async (root) => {
        await readTree(root)
        readFileSync(`${root}/kept/file`)
        readFileSync(`${root}/link/file`)
      })
      assert.deepEqual(await namesIn(context, child, base), [])
    },
  },
  {
    name: 'two-zero-blocks',
    title: 'a diff is a multiple of 512 bytes long and ends with two blocks of zeros',
    async run(context) {
      const { driver } = context
      const [base, layer] = await mixed(context)
      for (const parent of [base, undefined]) {
        const bytes = await collect(driver.diff(layer, parent))
        assert.equal(bytes.length % 512, 0)
        assert(bytes.subarray(-1024).equals(Buffer.alloc(1024)), 'other bytes than zeros')
      }
    },
  },
  {
    name: 'names-relative',
    title: 'names in a diff begin with no slash and no dot of their own, and have no empty part',
    async run(context) {
      const [base, layer] = await mixed(context)
      for (const parent of [base, undefined]) {
        for (const name of await namesIn(context, layer, parent)) {
          const parts = name.replace(/\/$/, '').split('/')
          assert(
            parts.every((part) => part !== '' && part !== '.' && part !== '..'),
            name,
          )
        }
      }
    },
  },
  {
    name: 'directories-end-in-slash',
    title: 'names of directories end in a slash, and no others do',
    async run(context) {
      const [base, layer] = await mixed(context)
      const entries = await entriesOf(context, layer, base)
      assert(entries.some(({ type }) => type === 'directory'))
      for (const { name, type } of entries) assert.equal(name.endsWith('/'), type === 'directory', name)
    },
  },
  {
    name: 'no-root',
    title: 'the root directory is not in a diff, not even when its mode changed',
    async run(context) {
      const base = await context.layer('base', undefined, [file('f')])
      const child = await context.layer('child1', base, [attributes('', { mode: 0o711 }), file('g')])
      assert.deepEqual(await namesIn(context, child, base), ['g'])
      assert.deepEqual((await namesIn(context, child)).toSorted(), ['f', 'g'])
    },
  },
  {
    name: 'directories-first',
    title: 'whatever is in a diff comes after the directory that it is in',
    async run(context) {
      const [base, layer] = await mixed(context)
      for (const parent of [base, undefined]) {
        const seen = new Set<string>()
        for (const name of await namesIn(context, layer, parent)) {
          const above = parentOf(name)
          assert(above === undefined || seen.has(above), `${name} comes without or before ${above}`)
          seen.add(name)
        }
      }
    },
  },
  {
    name: 'names-once',
    title: 'no name is in a diff twice',
    seen: 'tar-split refuses such a tar, and with it the layer',
    async run(context) {
      const [base, layer] = await mixed(context)
      for (const parent of [base, undefined]) {
        const names = (await namesIn(context, layer, parent)).map((name) => name.replace(/\/$/, ''))
        assert.deepEqual(names, [...new Set(names)])
      }
    },
  },
  {
    name: 'own-names-only',
    title: 'a diff names what is in the layer, and whiteouts of what was in its parent, and nothing else',
    async run(context) {
      const [base, layer] = await mixed(context)
      const before = await context.within(base, readTree)
      const after = await context.within(layer, readTree)
      for (const name of await namesIn(context, layer, base)) {
        const above = parentOf(name) ?? ''
        const last = name.slice(above.length).replace(/\/$/, '')
        if (last === '.wh..wh..opq') assert(after.has(above.slice(0, -1)), name)
        else if (last.startsWith('.wh.')) assert(before.has(above + last.slice('.wh.'.length)), name)
        else assert(after.has(above + last), name)
      }
    },
  },
  {
    name: 'whiteout',
    title: 'a deleted file is one empty regular file whose name begins with .wh.',
    async run(context) {
      const base = await context.layer('base', undefined, [
        file('gone'),
        file('kept'),
        directory('d'),
        file('d/x'),
      ])
      const child = await context.layer('child1', base, [remove('gone'), remove('d/x')])
      const entries = await entriesOf(context, child, base)
      assert.deepEqual(entries.map(({ name }) => name).toSorted(), ['.wh.gone', 'd/', 'd/.wh.x'])
      for (const name of ['.wh.gone', 'd/.wh.x']) {
        const { type, size } = entryOf(entries, name)
        assert.deepEqual([type, size], ['file', 0])
      }
    },
  },
  {
    name: 'whiteout-of-directory',
    title: 'a deleted directory is one whiteout, and what was in it is not mentioned',
    async run(context) {
      const base = await context.layer('base', undefined, [
        directory('d'),
        directory('d/sub'),
        file('d/sub/x'),
        file('d/y'),
        file('kept'),
      ])
      const child = await context.layer('child1', base, [remove('d')])
      assert.deepEqual(await namesIn(context, child, base), ['.wh.d'])
    },
  },
  {
    name: 'unchanged-absent',
    title: 'of a directory in which a file changed only that file is in the diff, and the directory itself',
    async run(context) {
      const base = await context.layer('base', undefined, [
        directory('d'),
        file('d/changed'),
        file('d/other'),
        directory('d/sub'),
        file('d/sub/x'),
        directory('e'),
        file('e/y'),
        file('f'),
      ])
      const child = await context.layer('child1', base, [append('d/changed', '!')])
      assert.deepEqual(await namesIn(context, child, base), ['d/', 'd/changed'])
    },
  },
  {
    name: 'made-and-deleted',
    title: 'what was made and deleted in the same layer leaves no trace',
    async run(context) {
      const base = await context.layer('base', undefined, [directory('d'), file('d/f')])
      const child = await context.layer('child1', base, [
        file('d/x'),
        directory('y'),
        file('y/z'),
        file('kept'),
        remove('d/x'),
        remove('y'),
      ])
      const names = await namesIn(context, child, base)
      assert.deepEqual(
        names.filter((name) => name !== 'd/'),
        ['kept'],
      )
    },
  },
  {
    name: 'renamed',
    title: 'a renamed file is a whiteout of the old name and a whole file of the new one',
    async run(context) {
      const base = await context.layer('base', undefined, [file('old', 'the content'), file('other')])
      const child = await context.layer('child1', base, [rename('old', 'new')])
      const entries = await entriesOf(context, child, base)
      assert.deepEqual(entries.map(({ name }) => name).toSorted(), ['.wh.old', 'new'])
      const { type, text } = entryOf(entries, 'new')
      assert.deepEqual([type, text], ['file', 'the content'])
    },
  },
  ...touches.map(({ change, entry, shows, expected, ...rest }): CaseBody => ({
    ...rest,
    run: (context) => touch(context, { change, entry, shows, expected }),
  })),
  ...replays.map(({ recipes, ...rest }): CaseBody => ({
    ...rest,
    run: (context) => rebuild(context, recipes),
  })),
  {
    name: 'names-of-any-bytes',
    title: 'names that are not UTF-8 come through a diff byte for byte, and so do their deletions',
    needs: anyNames,
    async run(context) {
      const { within } = context
      const base = await context.layer('base')
      await within(base, (root) => {
        for (const name of ['caf\xe9', 'gone\xff', '\xfe\xfd']) writeFileSync(bytePath(root, name), name)
      })
      const child = await context.layer('child', base)
      await within(child, (root) => {
        rmSync(bytePath(root, 'gone\xff'))
        writeFileSync(bytePath(root, 'caf\xe8'), 'another')
      })
      const copy0 = await context.transplant('copy0', undefined, base)
      const copy1 = await context.transplant('copy1', copy0, child, base)
      for (const [id, copy] of [
        [base, copy0],
        [child, copy1],
      ] as const) {
        await within(id, (root) => within(copy, (made) => context.sameTree(root, made, rootIsOwn)))
      }
    },
  },
  {
    name: 'hard-links',
    title: 'of a file with several names the first in the tar is a file, and the others are links to it',
    needs: hardLinks,
    async run(context) {
      const layer = await context.layer('layer', undefined, [
        directory('a'),
        file('m', 'content'),
        link('a/first', 'm'),
        link('z', 'm'),
        file('single'),
      ])
      const entries = await entriesOf(context, layer)
      const [first, ...others] = entries.filter(({ name }) => ['a/first', 'm', 'z'].includes(name))
      assert(first !== undefined)
      assert.deepEqual([first.type, first.text], ['file', 'content'])
      const links = others.map(({ type, link: target, size }) => [type, target, size])
      assert.deepEqual(links, Array(2).fill(['link', first.name, 0]))
      assert.equal(entryOf(entries, 'single').type, 'file')
    },
  },
  {
    name: 'link-to-lower-file',
    title:
      'a new name for a file of the parent has the file’s content after applying, and so has the old one',
    async run(context) {
      const { within } = context
      const base = await context.layer('base', undefined, [directory('d'), file('d/old', 'the content')])
      const child = await context.layer('child', base)
      await within(child, (root) => linkSync(`${root}/d/old`, `${root}/new`))
      const made = await context.transplant('made', base, child, base)
      await within(child, (root) =>
        within(made, (shown) => context.sameTree(root, shown, [...rootIsOwn, linksMayPart])),
      )
    },
  },
  {
    name: 'sockets-left-out',
    title: 'sockets are left out of a diff, and everything else is in it',
    async run(context) {
      const layer = await context.layer('layer', undefined, [
        directory('run'),
        file('run/before'),
        socket('run/daemon.sock'),
        file('run/z-after'),
        file('z'),
      ])
      const names = await namesIn(context, layer)
      assert.deepEqual(names.toSorted(), ['run/', 'run/before', 'run/z-after', 'z'])
    },
  },
  {
    name: 'whole-tree',
    title: 'the diff against nothing has the whole tree, with all layers below, and no whiteout',
    async run(context) {
      const [, layer] = await mixed(context)
      const tree = await context.within(layer, readTree)
      const names = await namesIn(context, layer)
      assert.deepEqual(
        names.map((name) => name.replace(/\/$/, '')).toSorted(),
        [...tree.keys()].filter((name) => name !== '').toSorted(),
      )
      const made = await context.transplant('made', undefined, layer)
      await context.showsApplied(made, mixedBase, mixedChange)
    },
  },
  {
    name: 'against-grandparent',
    title: 'the diff against the grandparent has the changes of both layers',
    seen: 'docker build --squash asks for it',
    async run(context) {
      const top = [
        append('grows', '!'),
        remove('added/empty'),
        file('dir/third'),
        remove('dir/new'),
        file('gone', 'back'),
      ]
      const [base, , layer] = await context.stack('l', mixedBase, mixedChange, top)
      assert(layer !== undefined)
      const names = await namesIn(context, layer, base)
      for (const passing of ['added/empty/', 'added/.wh.empty', 'dir/new', 'dir/.wh.new']) {
        assert(!names.includes(passing), `${passing} was neither before nor after`)
      }
      const made = await context.transplant('made', base, layer, base)
      await context.showsApplied(made, mixedBase, mixedChange, top)
    },
  },
  {
    name: 'against-child',
    title: 'the diff of a parent against its child takes the child’s changes back',
    async run(context) {
      const [base, layer] = await mixed(context)
      const made = await context.transplant('made', layer, base, layer)
      await context.showsApplied(made, mixedBase)
    },
  },
  {
    name: 'against-unrelated',
    title: 'the diff against a layer that is no ancestor is what makes that layer into this one',
    async run(context) {
      const one = [
        directory('d'),
        file('d/one'),
        file('d/both', 'one'),
        directory('e'),
        file('e/x'),
        file('f'),
      ]
      const two = [
        directory('d'),
        file('d/two'),
        file('d/both', 'and two'),
        file('e', 'a file'),
        symlink('f', 'e'),
      ]
      const other = await context.layer('other0', undefined, one)
      const layer = await context.layer('layer1', undefined, two)
      const made = await context.transplant('made', other, layer, other)
      await context.showsApplied(made, [], two)
    },
  },
  {
    name: 'read-write-layer',
    title: 'the diff of a container’s layer, made into a layer on the image, shows what the container showed',
    seen: 'docker commit',
    async run(context) {
      const image = await context.layer('image', undefined, mixedBase)
      const container = await context.writable('container1', image, mixedChange)
      const committed = await context.transplant('committed', image, container, image)
      await context.showsApplied(committed, mixedBase, mixedChange)
    },
  },
  {
    name: 'init-layer-skipped',
    title:
      'what lies between a container and its image is not in the container’s diff, nor missed in the commit',
    seen: 'docker’s -init layers',
    async run(context) {
      const [image, init, container] = await context.stack(
        'l',
        mixedBase,
        [directory('etc'), file('etc/hosts', '')],
        mixedChange,
      )
      assert(init !== undefined && container !== undefined)
      const names = await namesIn(context, container, init)
      assert(!names.some((name) => name.startsWith('etc')), names.join(' '))
      const committed = await context.transplant('committed', image, container, init)
      await context.showsApplied(committed, mixedBase, [], mixedChange)
    },
  },
  {
    name: 'while-mounted',
    title: 'the diff of a mounted layer has what was written a moment ago',
    async run(context) {
      const base = await context.layer('base', undefined, [file('f', 'old'), file('gone')])
      const child = await context.writable('child', base)
      const { path } = await context.mount(child)
      writeFileSync(`${path}/f`, 'something new')
      writeFileSync(`${path}/added`, 'added')
      rmSync(`${path}/gone`)
      const entries = await entriesOf(context, child, base)
      assert.deepEqual(entries.map(({ name }) => name).toSorted(), ['.wh.gone', 'added', 'f'])
      assert.equal(entryOf(entries, 'f').text, 'something new')
      assert.equal(entryOf(entries, 'added').text, 'added')
    },
  },
  {
    name: 'mounted-or-not',
    title: 'the diff of a mounted layer has the same bytes as when it is not mounted',
    async run(context) {
      const { driver } = context
      const [base, layer] = await mixed(context)
      const before = await collect(driver.diff(layer, base))
      await context.within(layer, async () => {
        assert(before.equals(await collect(driver.diff(layer, base))), 'other bytes while mounted')
      })
      await context.within(base, async () => {
        assert(
          before.equals(await collect(driver.diff(layer, base))),
          'other bytes while the parent is mounted',
        )
      })
    },
  },
  {
    name: 'same-bytes-twice',
    title: 'two diffs of one layer have the same bytes',
    async run(context) {
      const { driver } = context
      const [base, layer] = await mixed(context)
      for (const parent of [base, undefined]) {
        const first = await collect(driver.diff(layer, parent))
        assert(first.equals(await collect(driver.diff(layer, parent))))
      }
    },
  },
  {
    name: 'large-content',
    title: 'files of several MiB and of sizes around a tar block are in a diff to the last byte',
    async run(context) {
      const sizes = [0, 1, 511, 512, 513, 65_535, 65_537, 1_048_576, 5_242_883]
      const recipe = sizes.map((bytes) => file(`file-${bytes}`, { bytes, seed: bytes }))
      const [base, layer] = await context.stack('l', [file(`file-${5_242_883}`, 'short')], recipe)
      assert(layer !== undefined)
      const entries = await entriesOf(context, layer, base)
      assert.deepEqual(
        entries
          .map(({ name, size }) => [name, size])
          .toSorted(([a], [b]) => String(a).localeCompare(String(b))),
        sizes
          .map((size) => [`file-${size}`, size])
          .toSorted(([a], [b]) => String(a).localeCompare(String(b))),
      )
      const made = await context.transplant('made', base, layer, base)
      await context.within(made, (root) => {
        for (const bytes of sizes) {
          const content = readFileSync(`${root}/file-${bytes}`)
          assert(content.equals(contentBytes({ bytes, seed: bytes })), `file-${bytes}`)
        }
      })
    },
  },
  {
    name: 'no-attributes-of-its-own',
    title: 'extended attributes that the driver itself set leave in no tar',
    seen: 'trusted.overlay.* in images that Docker built on other storage',
    async run(context) {
      const [base, layer] = await mixed(context)
      const top = await context.layer('top2', layer, [
        append('remade/both', '!'),
        remove('dir'),
        directory('dir'),
      ])
      for (const [id, parent] of [
        [layer, base],
        [top, layer],
        [top, base],
        [top, undefined],
      ] as const) {
        const marked = (await entriesOf(context, id, parent)).filter(({ xattrs }) => xattrs.length > 0)
        assert.deepEqual(
          marked.map(({ name, xattrs }) => [name, ...xattrs]),
          [],
        )
      }
    },
  },
  {
    name: 'no-attributes-of-the-host',
    title:
      'trusted.* attributes and SELinux labels stay on the host, and user.* attributes beside them travel',
    needs: allXattrs,
    requires: attrCommands,
    async run(context) {
      const base = await context.layer('base', undefined, [file('f')])
      const child = await context.layer('child1', base, [
        append('f', '!'),
        xattr('f', 'trusted.mine', 'value'),
        xattr('f', 'security.selinux', 'system_u:object_r:etc_t:s0'),
        xattr('f', 'user.mine', 'value'),
      ])
      for (const parent of [base, undefined]) {
        const { xattrs } = entryOf(await entriesOf(context, child, parent), 'f')
        assert.deepEqual(xattrs, ['user.mine'])
      }
    },
  },
  {
    name: 'same-second-same-size',
    title: 'a file rewritten with the same size within the same second is in the diff, five times running',
    seen: 'containerd LayerFileupdate; https://github.com/moby/moby/issues/21555',
    needs: fineDifferences,
    async run(context) {
      const rounds = Array.from({ length: 5 }, (_, round) => [
        file('f', `round ${round}`, { mtime: 1_400_000_000 + (round + 1) / 10 }),
      ])
      const layers = await context.stack('l', ...rounds)
      let top: LayerId | undefined
      for (const [round, layer] of layers.entries()) {
        const { text } = entryOf(await entriesOf(context, layer, layers[round - 1]), 'f')
        assert.equal(text, `round ${round}`)
        top = await context.transplant(`replayed${round}`, top, layer, layers[round - 1])
        await context.within(top, (root) => assert.equal(readFileSync(`${root}/f`, 'utf8'), `round ${round}`))
      }
    },
  },
  {
    name: 'any-chunks',
    title: 'a diff that arrives in chunks of 7, 512 or 1000 bytes makes the same layer as in its own',
    async run(context) {
      const { driver, id } = context
      const [base, layer] = await mixed(context)
      const bytes = await collect(driver.diff(layer, base))
      for (const size of [7, 512, 1000]) {
        const made = id(`made-by-${size}`)
        await driver.create(made, { parent: base })
        await driver.applyDiff(made, base, inChunks(bytes, size))
        await context.showsApplied(made, mixedBase, mixedChange)
      }
    },
  },
  {
    name: 'left-early',
    title: 'a diff that is left after its first chunk leaves nothing mounted, and the next one is whole',
    async run(context) {
      const { driver, root } = context
      const bytes = 8 << 20
      const large = [file('large', { bytes, seed: 1 })]
      const [base, middle, layer] = await context.stack('l', mixedBase, mixedChange, large)
      assert(layer !== undefined)
      const before = mountsBelow(root)
      for (const parent of [middle, base, undefined]) {
        for await (const chunk of driver.diff(layer, parent)) {
          assert(chunk.length < bytes, 'all of it in one chunk')
          break
        }
        assert.deepEqual(mountsBelow(root), before)
        assert.equal(entryOf(await entriesOf(context, layer, parent), 'large').size, bytes)
      }
    },
  },
  {
    name: 'never-read',
    title: 'a diff that nobody reads holds nothing',
    async run(context) {
      const { driver, root } = context
      const [base, layer] = await mixed(context)
      const before = mountsBelow(root)
      driver.diff(layer, base)
      driver.diff(layer, undefined)
      await driver.status()
      assert.deepEqual(mountsBelow(root), before)
    },
  },
  {
    name: 'two-at-once',
    title: 'two diffs of one layer at the same time are both whole',
    async run(context) {
      const { driver } = context
      const [base, layer] = await mixed(context)
      await context.within(layer, (root) =>
        writeFileSync(`${root}/large`, contentBytes({ bytes: 2 << 20, seed: 1 })),
      )
      for (const parent of [base, undefined]) {
        const alone = await collect(driver.diff(layer, parent))
        const together = await Promise.all([
          collect(driver.diff(layer, parent)),
          collect(driver.diff(layer, parent)),
        ])
        for (const bytes of together) assert(bytes.equals(alone))
      }
    },
  },
  {
    name: 'layers-unchanged',
    title: 'a diff changes neither the layer nor its parent',
    async run(context) {
      const [base, layer] = await mixed(context)
      await entriesOf(context, layer, base)
      await entriesOf(context, layer)
      await entriesOf(context, base, layer)
      await context.shows(base, mixedBase)
      await context.within(layer, async (root) =>
        context.sameTree(await context.oracle(mixedBase, mixedChange), root, rootIsOwn),
      )
    },
  },
)
