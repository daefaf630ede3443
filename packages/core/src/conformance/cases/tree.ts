/**
 * Every feature that a file can have on Unix survives in a child, and on its way through a diff. Each feature is a
 * recipe, and most make two cases.
 */
import assert from 'node:assert/strict'
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { type CaseBody, casesOf, type ConformanceCase } from '../case.ts'
import { type CaseContext, rootIsOwn } from '../context.ts'
import { command } from '../host/command.ts'
import type { Requirement } from '../host/requirement.ts'
import { CannotRun } from '../lab.ts'
import {
  attributes,
  device,
  directory,
  fifo,
  file,
  link,
  type Recipe,
  socket,
  type Step,
  symlink,
  xattr,
} from '../recipe/step.ts'
import { bytePath } from '../tree/tree.ts'
import {
  allXattrs,
  anyNames,
  anyOwner,
  deviceNodes,
  hardLinks,
  nanosecondTimes,
  securityXattrs,
  unixModes,
  unixNames,
} from './needs.ts'

interface Feature extends Pick<CaseBody, 'name' | 'seen' | 'needs' | 'requires'> {
  /** Ends the sentences "a child shows …" and "a diff carries …". */
  readonly what: string
  readonly recipe: Recipe
  /** What no recipe can say, done after it; it leaves times that do not depend on when it ran. */
  readonly make?: (root: string) => void | Promise<void>
}

/** The feature in a plain directory, above the layers that `recipes` stand for: the oracle. */
async function oracleOf(
  context: CaseContext,
  feature: Feature,
  ...below: readonly Recipe[]
): Promise<string> {
  const root = await context.oracle(...below, feature.recipe)
  await feature.make?.(root)
  return root
}

function inChild(feature: Feature): CaseBody {
  const { name, what, recipe, make, ...rest } = feature
  return {
    ...rest,
    name: `${name}-in-child`,
    title: `a child shows ${what} as its parent has them`,
    async run(context) {
      const parent = await context.layer('parent0', undefined, recipe)
      if (make !== undefined) await context.within(parent, make)
      const child = await context.layer('child1', parent)
      const oracle = await oracleOf(context, feature)
      await context.within(child, (root) => context.sameTree(oracle, root))
    },
  }
}

const below: Recipe = [directory('below'), file('below/file')]

function throughDiff(feature: Feature): CaseBody {
  const { name, what, recipe, make, ...rest } = feature
  return {
    ...rest,
    name: `${name}-through-diff`,
    title: `a diff carries ${what}`,
    async run(context) {
      const [base, changed] = await context.stack('layer', below, recipe)
      assert(changed !== undefined)
      if (make !== undefined) await context.within(changed, make)
      const copy = await context.transplant('copy', base, changed, base)
      const oracle = await oracleOf(context, feature, below)
      await context.within(copy, (root) => context.sameTree(oracle, root, rootIsOwn))
    },
  }
}

const setfattr: readonly Requirement[] = [
  { command: 'setfattr', package: 'attr' },
  { command: 'getfattr', package: 'attr' },
]
const root: readonly Requirement[] = [{ root: true }]

/** One file per item of a list, named by its position. */
function each<Item>(items: readonly Item[], step: (path: string, item: Item) => Step): Recipe {
  return items.map((item, index) => step(`${index}`, item))
}

/** The path of a directory in directories of the same name. */
function nested(name: string, levels: number): string {
  return Array<string>(levels).fill(name).join('/')
}

/** Directories one in another, and a file in every so many of them. */
function chain(name: string, levels: number, every = 1): Recipe {
  return Array.from({ length: levels }, (_, level) => nested(name, level + 1)).flatMap((path, level) => [
    directory(path),
    ...((level + 1) % every === 0 ? [file(`${path}/f`, 'in a chain')] : []),
  ])
}

async function touch(path: string, seconds: string): Promise<void> {
  await command('touch', ['--no-dereference', `--date=@${seconds}`, path])
}

/** 64 KiB of data at each offset of a file of 8 MiB. */
function makeSparse(path: string, offsets: readonly number[]): void {
  const fd = openSync(path, 'w', 0o644)
  for (const offset of offsets) writeSync(fd, Buffer.alloc(1 << 16, 'data'), 0, 1 << 16, offset)
  ftruncateSync(fd, 8 << 20)
  closeSync(fd)
  lutimesSync(path, 1, 1)
}

/** Names that are no UTF-8, one character per byte: of a directory, of files, links and what they lead to. */
function makeUnspeakable(tree: string): void {
  const made = ['\xff', '\xff/\xfe\xfd', '\xff/\xc3', '\xed\xa0\x80', 'a\xe9']
  const [top, inside, hard, surrogate, soft] = made.map((name) => bytePath(tree, name))
  assert(top && inside && hard && surrogate && soft)
  mkdirSync(top)
  chmodSync(top, 0o755)
  for (const path of [inside, surrogate]) writeFileSync(path, 'content', { mode: 0o644 })
  linkSync(inside, hard)
  symlinkSync(Buffer.from('\xff/\xfe\xfd', 'latin1'), soft)
  for (const path of [inside, surrogate, soft, top, tree]) lutimesSync(path, 1, 1)
}

/** `struct vfs_cap_data` of linux/capability.h: CAP_NET_RAW permitted and effective, in revision 2. */
const netRaw = '0x0100000200200000000000000000000000000000'
/** The same in revision 3, for the user namespace whose root is uid 100000. */
const netRawOfNamespace = '0x0100000300200000000000000000000000000000a0860100'

/** `struct posix_acl_xattr_header` and entries of linux/posix_acl_xattr.h: uid 1000 may read and write. */
const readWriteAcl =
  '0x02000000' +
  '01000600ffffffff' +
  '02000600e8030000' +
  '04000400ffffffff' +
  '10000600ffffffff' +
  '20000400ffffffff'

const features: readonly Feature[] = [
  {
    name: 'file-sizes',
    what: 'files that are empty or end near a boundary of 512 bytes',
    recipe: each([0, 1, 511, 512, 513, 1023, 1024, 1025], (path, bytes) =>
      file(path, { bytes, seed: bytes }),
    ),
  },
  {
    name: 'large-files',
    what: 'files of several MiB in which no two blocks are alike',
    recipe: [file('even', { bytes: 4 << 20, seed: 1 }), file('odd', { bytes: (3 << 20) + 4097, seed: 2 })],
  },
  {
    name: 'sparse-files',
    what: 'the size and all bytes of files that are mostly holes',
    recipe: [],
    make(tree) {
      makeSparse(`${tree}/middle`, [4 << 20])
      makeSparse(`${tree}/ends`, [0, (8 << 20) - (1 << 16)])
      makeSparse(`${tree}/hole`, [])
      lutimesSync(tree, 1, 1)
    },
  },
  {
    name: 'permissions',
    what: 'permission bits of files and directories, and the absence of all',
    requires: root,
    recipe: [
      ...Array.from({ length: 74 }, (_, index) => file(`f${index}`, '', { mode: index * 7 })),
      ...[0, 0o111, 0o222, 0o444, 0o500, 0o700, 0o705, 0o750, 0o777].flatMap((mode) => {
        const path = `d${mode.toString(8)}`
        return [directory(path), file(`${path}/f`), attributes(path, { mode })]
      }),
    ],
  },
  {
    name: 'set-id-bits',
    what: 'the setuid, setgid and sticky bits of files and directories',
    seen: 'moby graphtest CreateBase',
    needs: unixModes,
    recipe: [
      ...[0o4755, 0o4711, 0o4222, 0o2755, 0o6750, 0o1644, 0o7000, 0o7777].flatMap((mode) => [
        file(`f${mode.toString(8)}`, 'bits', { mode }),
        directory(`d${mode.toString(8)}`, { mode }),
      ]),
      file('d2755/f'),
      directory('d2755/plain', { mode: 0o755 }),
      directory('d7777/plain', { mode: 0o755 }),
    ],
  },
  {
    name: 'owners',
    what: 'owners and groups of files and directories, set-id bits with them',
    seen: 'docker #20240, #24913, #28391',
    needs: anyOwner,
    recipe: each([1, 1000, 65_534, 65_535, 65_536, 165_536, 2_000_000], (path, id) =>
      directory(path, { uid: id, gid: id + 1 }),
    ).flatMap((step, index) => [
      step,
      file(`${step.path}/f`, 'owned', { uid: index, gid: 100, mode: 0o6755 }),
    ]),
  },
  {
    name: 'large-owners',
    what: 'owners that do not fit the fields of a tar header',
    needs: anyOwner,
    recipe: each([2_097_151, 2_097_152, 3_000_000, 2_147_483_648, 4_000_000_000], (path, id) =>
      file(path, '', { uid: id, gid: id - 1 }),
    ),
  },
  {
    name: 'nanosecond-times',
    what: 'times to the nanosecond, also such as lie before 1970',
    needs: nanosecondTimes,
    requires: [{ command: 'touch', package: 'coreutils' }],
    recipe: [
      file('one'),
      file('all'),
      file('half'),
      file('before'),
      directory('directory'),
      symlink('link', 'one'),
    ],
    async make(tree) {
      await touch(`${tree}/one`, '1000000000.000000001')
      await touch(`${tree}/all`, '1000000000.999999999')
      await touch(`${tree}/half`, '1700000000.500000001')
      await touch(`${tree}/before`, '-1.999999999')
      await touch(`${tree}/directory`, '1234567890.123456789')
      await touch(`${tree}/link`, '1234567890.987654321')
    },
  },
  {
    name: 'times-of-zero',
    what: 'times that are the very beginning of 1970',
    recipe: [
      file('f', 'epoch', { mtime: 0 }),
      symlink('l', 'f', { mtime: 0 }),
      directory('d', { mtime: 0 }),
      file('d/f'),
    ],
  },
  {
    name: 'times-before-1970',
    what: 'times before 1970',
    recipe: [
      ...each([-1, -86_400, -1_000_000_000], (path, mtime) => file(path, path, { mtime })),
      directory('d', { mtime: -315_619_200 }),
    ],
  },
  {
    name: 'times-after-2038',
    what: 'times after 2038 and in 2100',
    recipe: [
      ...each([2_147_483_647, 2_147_483_648, 4_102_444_800.25, 4_294_967_296], (path, mtime) =>
        file(path, path, { mtime }),
      ),
      directory('d', { mtime: 4_102_444_800 }),
    ],
  },
  {
    name: 'times-after-2242',
    what: 'times that do not fit the field of a tar header',
    recipe: each([8_589_934_591, 8_589_934_592, 9_214_646_400.5], (path, mtime) =>
      file(path, path, { mtime }),
    ),
  },
  {
    name: 'directory-times',
    what: 'times of directories that are older than what is in them',
    recipe: [
      directory('d', { mtime: 1_000_000 }),
      directory('d/e', { mtime: 2_000_000 }),
      file('d/e/f', 'newer', { mtime: 1_600_000_000 }),
      directory('d/empty', { mtime: 3_000_000 }),
      directory('d/links', { mtime: 4_000_000 }),
      symlink('d/links/l', '../e/f'),
      link('d/links/h', 'd/e/f'),
    ],
  },
  {
    name: 'symlinks',
    what: 'absolute and relative symbolic links word by word',
    recipe: [
      directory('d'),
      file('d/f'),
      symlink('absolute', '/d/f'),
      symlink('relative', 'd/f'),
      symlink('to-directory', 'd'),
      symlink('d/up', '../d/./f'),
      symlink('climbing', '../../../../etc/passwd'),
      symlink('slashes', 'd//f'),
      symlink('trailing', 'd/'),
      symlink('odd', ' d \\ \n "é'),
    ],
  },
  {
    name: 'dead-symlinks',
    what: 'symbolic links that lead nowhere or to themselves',
    recipe: [
      symlink('dangling', 'nothing'),
      symlink('itself', 'itself'),
      symlink('ping', 'pong'),
      symlink('pong', 'ping'),
      symlink('here', '.'),
      directory('d'),
      symlink('d/above', '..'),
    ],
  },
  {
    name: 'long-symlinks',
    what: 'symbolic links whose targets have 100 to 1000 characters',
    recipe: each([59, 60, 100, 101, 255, 256, 1000], (path, length) =>
      symlink(path, 'targets/'.repeat(125).slice(0, length - 1) + 'x'),
    ),
  },
  {
    name: 'symlink-owners',
    what: 'owners of symbolic links, which are not those of their targets',
    needs: anyOwner,
    recipe: [
      file('f', '', { uid: 3, gid: 4 }),
      symlink('to-file', 'f', { uid: 1, gid: 2 }),
      symlink('dangling', 'nothing', { uid: 65_534, gid: 65_534 }),
    ],
  },
  {
    name: 'symlink-times',
    what: 'times of symbolic links, which are not those of their targets',
    recipe: [
      file('f', '', { mtime: 1_000_000 }),
      symlink('to-file', 'f', { mtime: 1_234_567.5 }),
      symlink('dangling', 'nothing', { mtime: 7_654_321.25 }),
    ],
  },
  {
    name: 'hard-links',
    what: 'hard links of one file in several directories',
    seen: 'containerd MoveFileFromLowerLayer',
    needs: hardLinks,
    recipe: [
      directory('a'),
      directory('b'),
      directory('b/c'),
      file('b/c/first', 'many names'),
      link('a/second', 'b/c/first'),
      link('third', 'a/second'),
      file('a/empty', ''),
      link('b/empty', 'a/empty'),
      file('twin', 'many names'),
    ],
  },
  {
    name: 'hundred-hard-links',
    what: 'a file that has a hundred names, all of them',
    needs: hardLinks,
    recipe: [
      file('name0', 'one inode'),
      ...Array.from({ length: 99 }, (_, index) => link(`name${index + 1}`, 'name0')),
    ],
  },
  {
    name: 'hard-linked-symlinks',
    what: 'hard links of symbolic links',
    seen: 'moby pkg/archive TestUntarHardlinkToSymlink',
    recipe: [
      file('regular'),
      symlink('one', 'regular'),
      link('two', 'one'),
      directory('d'),
      link('d/three', 'one'),
      symlink('d/other', 'regular'),
    ],
  },
  {
    name: 'hard-linked-fifos',
    what: 'hard links of named pipes',
    recipe: [directory('d'), fifo('one', { mode: 0o640 }), link('d/two', 'one'), fifo('d/other')],
  },
  {
    name: 'fifos',
    what: 'named pipes with their modes and times',
    recipe: [fifo('0', { mode: 0o600 }), fifo('1', { mode: 0o666, mtime: 1 }), fifo('2', { mode: 0o6711 })],
  },
  {
    name: 'devices',
    what: 'character and block devices with large numbers',
    needs: deviceNodes,
    requires: root,
    // XFS has 9 bits for the major number and 18 for the minor.
    recipe: (
      [
        ['c', 1, 3],
        ['b', 1, 3],
        ['c', 0, 1],
        ['b', 8, 255],
        ['c', 10, 256],
        ['b', 253, 65_536],
        ['c', 255, 262_143],
        ['b', 511, 262_143],
      ] as const
    ).map(([kind, major, minor]) =>
      device(`${kind}-${major}-${minor}`, kind, [major, minor], { mode: 0o4660, mtime: minor }),
    ),
  },
  {
    name: 'device-owners',
    what: 'owners of devices and named pipes',
    needs: (capabilities) => deviceNodes(capabilities) ?? anyOwner(capabilities),
    requires: root,
    recipe: [
      device('disk', 'b', [8, 0], { mode: 0o660, uid: 0, gid: 6 }),
      device('tty', 'c', [4, 64], { mode: 0o620, uid: 1000, gid: 5 }),
      fifo('pipe', { uid: 1000, gid: 1001 }),
    ],
  },
  {
    name: 'hard-linked-devices',
    what: 'hard links of devices',
    needs: deviceNodes,
    requires: root,
    recipe: [
      directory('d'),
      device('null', 'c', [1, 3]),
      link('d/null', 'null'),
      device('d/other', 'c', [1, 3]),
      device('disk', 'b', [8, 1]),
      link('d/disk', 'disk'),
    ],
  },
  {
    name: 'empty-directories',
    what: 'directories with nothing in them',
    recipe: [directory('a'), directory('b'), directory('b/c'), directory('b/c/d', { mode: 0o1777 })],
  },
  {
    name: 'user-xattrs',
    what: 'user attributes of files, with binary and empty values',
    needs: allXattrs,
    requires: setfattr,
    recipe: [
      file('f'),
      xattr('f', 'user.text', 'text'),
      xattr('f', 'user.empty', ''),
      xattr('f', 'user.binary', '0x00ff000a3d2200'),
      xattr('f', 'user.long', 'x'.repeat(1500)),
      file('empty', ''),
      xattr('empty', 'user.text', 'an attribute of nothing'),
      file('linked'),
      xattr('linked', 'user.linked', 'once'),
      link('other', 'linked'),
    ],
  },
  {
    name: 'directory-xattrs',
    what: 'user attributes of directories',
    needs: allXattrs,
    requires: setfattr,
    recipe: [
      directory('full'),
      file('full/f'),
      xattr('full', 'user.one', '1'),
      directory('full/empty', { mode: 0o700 }),
      xattr('full/empty', 'user.two', '0x0200'),
    ],
  },
  {
    name: 'xattr-names',
    what: 'user attributes whose names have spaces, signs and letters of all kinds',
    needs: allXattrs,
    requires: setfattr,
    recipe: [
      file('f'),
      ...[
        'a=b',
        'a b',
        'a\nb',
        'a.b.c',
        'é',
        '%41',
        'n'.repeat(200),
        'SCHILY.xattr.user.x',
        'Case',
        'case',
      ].map((name, index) => xattr('f', `user.${name}`, `${index}`)),
      file('é'),
      xattr('é', 'user.name', 'of a file that is not ASCII'),
      file('a\nb\\c'),
      xattr('a\nb\\c', 'user.name', 'of a file that is quoted'),
    ],
  },
  {
    name: 'file-capabilities',
    what: 'capabilities of programs',
    seen: 'docker #42655, #43876',
    needs: securityXattrs,
    requires: [...root, ...setfattr],
    recipe: [
      file('ping', 'program', { mode: 0o755 }),
      xattr('ping', 'security.capability', netRaw),
      file('readonly', 'program', { mode: 0o555 }),
      xattr('readonly', 'security.capability', netRaw),
    ],
  },
  {
    name: 'owned-file-capabilities',
    what: 'capabilities of programs that do not belong to root',
    needs: (capabilities) => securityXattrs(capabilities) ?? anyOwner(capabilities),
    requires: [...root, ...setfattr],
    recipe: [
      file('ping', 'program', { mode: 0o755, uid: 1000, gid: 1000 }),
      xattr('ping', 'security.capability', netRaw),
      directory('d'),
      link('d/ping', 'ping'),
    ],
  },
  {
    name: 'namespaced-file-capabilities',
    what: 'capabilities of programs that count in one user namespace only',
    needs: (capabilities) => securityXattrs(capabilities) ?? anyOwner(capabilities),
    requires: [...root, ...setfattr],
    recipe: [
      file('ping', 'program', { mode: 0o755 }),
      xattr('ping', 'security.capability', netRawOfNamespace),
    ],
  },
  {
    name: 'long-names',
    what: 'names of 100, 101 and 255 bytes, of files, directories and links',
    recipe: [
      ...[99, 100, 101, 254, 255].flatMap((length) => [
        file('f'.repeat(length)),
        directory('d'.repeat(length)),
        symlink('l'.repeat(length), 'f'),
        link('h'.repeat(length), 'f'.repeat(length)),
      ]),
      file('é'.repeat(127)),
      directory(`${'é'.repeat(127)}d`),
    ],
  },
  {
    name: 'long-paths',
    what: 'paths of more than 100, 255 and 2048 characters',
    recipe: [
      ...chain('directory'.repeat(20), 12),
      directory('d'.repeat(49)),
      ...[99, 100, 101, 155, 156, 255, 256, 257].map((length) =>
        file(`${'d'.repeat(49)}/${'f'.repeat(length - 50)}`),
      ),
      link('hard', `${nested('directory'.repeat(20), 12)}/f`),
      symlink('soft', 'directory'.repeat(20)),
    ],
  },
  {
    name: 'odd-names',
    what: 'names with spaces, quotes, backslashes and control characters',
    needs: unixNames,
    recipe: [
      ' ',
      ' leading',
      'trailing ',
      'a b',
      '"',
      "'",
      '`',
      'back\\slash',
      'back\\012slash',
      '\\',
      'new\nline',
      '\n',
      'tab\t',
      '\r',
      '\u0001',
      '\u007f',
      '-',
      '-rf',
      '--help',
      '*',
      '?',
      '[a]',
      '$HOME',
      '%s',
      '%2F',
      '~',
      '#',
      ',',
      'a,b',
      '=',
      'é\n20 path=elsewhere\n',
    ].flatMap((name) => [file(name), directory(`${name}d`), file(`${name}d/${name}`)]),
  },
  {
    name: 'colons-in-names',
    what: 'names with colons',
    needs: anyNames,
    recipe: [':', 'a:b', 'a::b', 'c:'].flatMap((name) => [
      file(name),
      directory(`${name}d`),
      file(`${name}d/${name}`),
    ]),
  },
  {
    name: 'dotted-names',
    what: 'names that begin or end with dots',
    seen: 'moby pkg/chrootarchive: a file named ..gitme',
    needs: unixNames,
    recipe: ['.hidden', '..gitme', '...', '.. ', '.-', 'a.', 'a..', '..a..'].flatMap((name) => [
      file(name),
      directory(`${name}d`),
      file(`${name}d/${name}`),
    ]),
  },
  {
    name: 'unicode-names',
    what: 'names in composed and in decomposed letters as different names',
    recipe: [
      file('\u00e9', 'composed'),
      file('e\u0301', 'decomposed'),
      directory('\u00c5'),
      file('\u00c5/f', 'composed'),
      directory('A\u030a'),
      file('A\u030a/f', 'decomposed'),
      directory('\u212b'),
      file('\u4e2d\u6587'),
      file('\u{1f433}'),
      file('\u202e'),
      symlink('link', '\u{1f433}'),
      link('\u{1f433}\u{1f433}', '\u{1f433}'),
    ],
  },
  {
    name: 'names-not-utf-8',
    what: 'names that are no UTF-8',
    needs: anyNames,
    recipe: [],
    make: makeUnspeakable,
  },
  {
    name: 'names-by-case',
    what: 'names that differ in case only',
    needs: unixNames,
    recipe: [
      file('readme', 'one'),
      file('README', 'two'),
      file('Readme', 'three'),
      directory('d'),
      file('d/f', 'one'),
      directory('D'),
      file('D/f', 'two'),
    ],
  },
  {
    name: 'names-around-slash',
    what: 'names that sort between a directory and what is in it',
    recipe: [
      directory('a'),
      file('a/x'),
      file('a-b'),
      file('a b'),
      file('a.b'),
      file('a0'),
      directory('a!'),
      file('a!/x'),
      directory('a-'),
      link('a-/x', 'a/x'),
      directory('a/a'),
      file('a/a/x'),
      file('a/a-'),
    ],
  },
  {
    name: 'deep-directories',
    what: 'directories a hundred and twenty levels deep',
    recipe: chain('d', 120, 20),
  },
  {
    name: 'wide-directories',
    what: 'a directory of fifteen hundred names, each of them',
    // Five names to a file: making files is what takes the time.
    recipe: [
      directory('wide'),
      ...Array.from({ length: 1500 }, (_, index) => {
        const name = (number: number): string => `wide/${(number * 7919) % 1500}`
        const first = index - (index % 5)
        return index === first ? file(name(index)) : link(name(index), name(first))
      }),
    ],
  },
]

/** What layers keep, and diffs do not carry. */
const childrenOnly: readonly Feature[] = [
  {
    name: 'sockets',
    what: 'unix sockets',
    recipe: [directory('run'), socket('run/daemon.sock'), socket('s'), attributes('s', { mode: 0o640 })],
  },
  {
    name: 'trusted-xattrs',
    what: 'trusted attributes of files, directories, links and named pipes',
    needs: allXattrs,
    requires: [...root, ...setfattr],
    recipe: [file('f'), directory('d'), symlink('l', 'f'), fifo('p')].flatMap((step) => [
      step,
      xattr(step.path, 'trusted.mark', `on ${step.path}`),
    ]),
  },
]

const acls: Feature = {
  name: 'acls',
  what: 'access lists of files and directories, and what directories hand down',
  needs: allXattrs,
  requires: setfattr,
  recipe: [
    file('f', '', { mode: 0o640 }),
    xattr('f', 'system.posix_acl_access', readWriteAcl),
    directory('d'),
    file('d/before', '', { mode: 0o600 }),
    xattr('d', 'system.posix_acl_access', readWriteAcl),
    xattr('d', 'system.posix_acl_default', readWriteAcl),
  ],
}

const allocatedBytes = (path: string): number => lstatSync(path).blocks * 512

export const tree: readonly ConformanceCase[] = casesOf(
  'tree',
  ...features.flatMap((feature) => [inChild(feature), throughDiff(feature)]),
  ...childrenOnly.map(inChild),
  {
    ...inChild(acls),
    async run(context) {
      try {
        await command('setfattr', [
          '--name=system.posix_acl_access',
          `--value=${readWriteAcl}`,
          context.scratch('probe'),
        ])
      } catch {
        throw new CannotRun('the filesystem has no access lists')
      }
      await inChild(acls).run(context)
    },
  },
  {
    name: 'sparse-files-stay-sparse-in-child',
    title: 'a file that is mostly holes takes no more space in a child than its data needs',
    async run(context) {
      const base = await context.layer('base')
      await context.within(base, (root) => {
        makeSparse(`${root}/sparse`, [4 << 20])
        if (allocatedBytes(`${root}/sparse`) > 1 << 20)
          throw new CannotRun('the filesystem does not report holes')
      })
      const child = await context.layer('child', base)
      await context.within(child, (root) => {
        const bytes = allocatedBytes(`${root}/sparse`)
        assert(bytes <= 1 << 20, `${bytes} bytes are allocated for 64 KiB of data`)
      })
    },
  },
)
