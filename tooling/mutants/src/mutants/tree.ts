import {
  type BigIntStats,
  chmodSync,
  copyFileSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { bytePath } from '@graphdriver/core/conformance'
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  lgetxattr,
  llistxattr,
  lremovexattr,
  lsetxattr,
  mknodat,
  S,
  utimensat,
} from '@graphdriver/sys'
import { damagesApplied, damagesChildren, type Mutant } from '../mutant.ts'

/** Something in a tree that is about to be damaged. */
interface Found {
  /** From the root, one character per byte. */
  readonly name: string
  readonly at: Buffer
  readonly stat: BigIntStats
}

type Damage = (tree: string) => void

interface Harm {
  readonly does: string
  /** The features that it harms. */
  readonly to: readonly string[]
  readonly damage: Damage
}

/** One mutant whose children are harmed, and one whose applied diffs are. */
function both({ does, to, damage }: Harm): readonly Mutant[] {
  return [
    inChildren({ does, to, damage }),
    {
      does: `${does} when it applies a diff`,
      caughtBy: to.map((feature) => `tree/${feature}-through-diff` as const),
      breaks: damagesApplied(damage),
    },
  ]
}

function inChildren({ does, to, damage }: Harm): Mutant {
  return {
    does: `${does} when it makes a child`,
    caughtBy: to.map((feature) => `tree/${feature}-in-child` as const),
    breaks: damagesChildren(damage),
  }
}

function* walk(tree: string, directory = ''): Generator<Found> {
  for (const bytes of readdirSync(bytePath(tree, directory), { encoding: 'buffer' })) {
    const name = (directory === '' ? '' : `${directory}/`) + bytes.toString('latin1')
    const at = bytePath(tree, name)
    const stat = lstatSync(at, { bigint: true })
    yield { name, at, stat }
    if (stat.isDirectory()) yield* walk(tree, name)
  }
}

function setTime(at: Buffer, ns: bigint): void {
  utimensat(AT_FDCWD, at, undefined, ns, AT_SYMLINK_NOFOLLOW)
}

/** Does something to everything below the root, what is in a directory first, and leaves no trace in times. */
function everywhere(harm: (found: Found, tree: string) => void): Damage {
  return (tree) => {
    const all = [...walk(tree)]
    const root = bytePath(tree, '')
    const { mtimeNs } = lstatSync(root, { bigint: true })
    for (const found of all.toReversed()) harm(found, tree)
    for (const { at, stat } of all) {
      if (lstatSync(at, { throwIfNoEntry: false }) !== undefined) setTime(at, stat.mtimeNs)
    }
    setTime(root, mtimeNs)
  }
}

/** The same for what passes a test. */
function wherever(test: (found: Found) => boolean, harm: (found: Found, tree: string) => void): Damage {
  return everywhere((found, tree) => {
    if (test(found)) harm(found, tree)
  })
}

/** Gives everything below the root another time. */
function times(change: (ns: bigint, found: Found) => bigint): Damage {
  return (tree) => {
    for (const found of walk(tree)) setTime(found.at, change(found.stat.mtimeNs, found))
  }
}

function modes(change: (mode: number, found: Found) => number): Damage {
  return wherever(
    ({ stat }) => !stat.isSymbolicLink(),
    (found) => {
      const mode = Number(found.stat.mode) & 0o7777
      const changed = change(mode, found)
      if (changed !== mode) chmodSync(found.at, changed)
    },
  )
}

/** Set-id bits and capabilities stay, which a change of owner takes away. */
function owners(change: (id: number, found: Found) => number): Damage {
  return everywhere((found) => {
    const { uid, gid, mode } = found.stat
    const [user, group] = [change(Number(uid), found), change(Number(gid), found)]
    if (user === Number(uid) && group === Number(gid)) return
    lchownSync(found.at, user, group)
    if (!found.stat.isSymbolicLink()) chmodSync(found.at, Number(mode) & 0o7777)
  })
}

/** Gives names another text, which may be that of a neighbour; undefined leaves out what has the name. */
function names(change: (name: string) => string | undefined): Damage {
  return everywhere(({ name, at }, tree) => {
    const slash = name.lastIndexOf('/') + 1
    const old = name.slice(slash)
    const changed = change(old)
    if (changed === old) return
    if (changed === undefined) remove(at)
    else {
      const target = bytePath(tree, name.slice(0, slash) + changed)
      remove(target)
      renameSync(at, target)
    }
  })
}

/** As often as a name stands for bytes in a test. */
const latin1 = (text: string): string => Buffer.from(text).toString('latin1')
const utf8 = (name: string): string => Buffer.from(name, 'latin1').toString()

/** Node's own recursion does not take every name. */
function remove(at: Buffer): void {
  const stat = lstatSync(at, { throwIfNoEntry: false })
  if (stat?.isDirectory() === true) {
    for (const name of readdirSync(at, { encoding: 'buffer' })) {
      remove(Buffer.concat([at, Buffer.from('/'), name]))
    }
  }
  rmSync(at, { recursive: stat?.isDirectory() === true, force: true })
}

function links(change: (target: string) => string): Damage {
  return wherever(
    ({ stat }) => stat.isSymbolicLink(),
    ({ at, stat }) => {
      const target = readlinkSync(at, 'buffer').toString('latin1')
      const changed = change(target)
      if (changed === target) return
      rmSync(at)
      symlinkSync(Buffer.from(changed, 'latin1'), at)
      lchownSync(at, Number(stat.uid), Number(stat.gid))
    },
  )
}

/** Makes a file of its own of what was a second name, with all that the name said. */
function separate({ at, stat }: Found): void {
  const xattrs = llistxattr(at).map((name) => [name, lgetxattr(at, name)] as const)
  const old = Buffer.concat([at, Buffer.from('~')])
  renameSync(at, old)
  if (stat.isFile()) copyFileSync(old, at)
  else if (stat.isSymbolicLink()) symlinkSync(readlinkSync(old, 'buffer'), at)
  else mknodat(AT_FDCWD, at, Number(stat.mode), stat.rdev)
  rmSync(old)
  lchownSync(at, Number(stat.uid), Number(stat.gid))
  for (const [name, value] of xattrs) if (value !== undefined) lsetxattr(at, name, value)
  if (!stat.isSymbolicLink()) chmodSync(at, Number(stat.mode) & 0o7777)
}

function separates(test: (stat: BigIntStats) => boolean): Damage {
  return wherever(
    ({ stat }) => test(stat),
    (found) => {
      if (lstatSync(found.at).nlink > 1) separate(found)
    },
  )
}

/** Another node in the place of one. */
function remake({ at, stat }: Found, mode: number, device: bigint): void {
  rmSync(at)
  mknodat(AT_FDCWD, at, mode, device)
  lchownSync(at, Number(stat.uid), Number(stat.gid))
  chmodSync(at, Number(stat.mode) & 0o7777)
}

const isDevice = ({ stat }: Found): boolean => stat.isCharacterDevice() || stat.isBlockDevice()

/** Changes attributes: another value, or undefined for none. */
function xattrs(change: (name: string, value: Buffer, found: Found) => Buffer | undefined): Damage {
  return everywhere((found) => {
    for (const name of llistxattr(found.at)) {
      const value = lgetxattr(found.at, name)
      if (value === undefined) continue
      const changed = change(name, value, found)
      if (changed === value) continue
      if (changed === undefined) lremovexattr(found.at, name)
      else lsetxattr(found.at, name, changed)
    }
  })
}

function dropsXattrs(test: (name: string, value: Buffer, found: Found) => boolean): Damage {
  return xattrs((name, value, found) => (test(name, value, found) ? undefined : value))
}

const second = 1_000_000_000n
const baseName = ({ name }: Found): string => name.slice(name.lastIndexOf('/') + 1)

const harms: readonly Harm[] = [
  // Content.
  {
    does: 'leaves out empty files',
    to: ['file-sizes'],
    damage: wherever(
      ({ stat }) => stat.isFile() && stat.size === 0n,
      ({ at }) => rmSync(at),
    ),
  },
  {
    does: 'fills the last block of files',
    to: ['file-sizes'],
    damage: wherever(
      ({ stat }) => stat.isFile() && stat.size % 512n === 511n,
      ({ at, stat }) => truncateSync(at, Number(stat.size) + 1),
    ),
  },
  {
    does: 'ends files at 2 MiB',
    to: ['large-files', 'sparse-files'],
    damage: wherever(
      ({ stat }) => stat.isFile() && stat.size > 2n << 20n,
      ({ at }) => truncateSync(at, 2 << 20),
    ),
  },
  {
    does: 'writes the first block of a MiB twice',
    to: ['large-files'],
    damage: wherever(
      ({ stat }) => stat.isFile() && stat.size > 2n << 20n,
      ({ at }) => {
        const bytes = readFileSync(at)
        bytes.copy(bytes, (1 << 20) + 4096, 1 << 20, (1 << 20) + 4096)
        writeFileSync(at, bytes)
      },
    ),
  },
  {
    does: 'takes the end of a file that ends in data for a hole',
    to: ['sparse-files'],
    damage: wherever(
      ({ stat }) => stat.isFile() && stat.size === 8n << 20n,
      ({ at }) => {
        truncateSync(at, (8 << 20) - 4096)
        truncateSync(at, 8 << 20)
      },
    ),
  },
  // Modes.
  {
    does: 'applies a umask of 022',
    to: ['permissions', 'set-id-bits'],
    damage: modes((mode) => mode & ~0o022),
  },
  {
    does: 'lets owners read what is theirs',
    to: ['permissions'],
    damage: modes((mode, { stat }) => mode | (stat.isDirectory() ? 0o700 : 0o400)),
  },
  {
    does: 'drops setuid bits',
    to: ['set-id-bits', 'owners', 'fifos'],
    damage: modes((mode) => mode & ~0o4000),
  },
  {
    does: 'lets directories inherit setgid bits',
    to: ['set-id-bits'],
    damage: modes((mode, { at, stat }) =>
      stat.isDirectory() && (statSync(path.dirname(at.toString())).mode & 0o2000) !== 0
        ? mode | 0o2000
        : mode,
    ),
  },
  {
    does: 'drops sticky bits of files',
    to: ['set-id-bits'],
    damage: modes((mode, { stat }) => (stat.isDirectory() ? mode : mode & ~0o1000)),
  },
  // Owners.
  {
    does: 'gives what belongs to ids above 65535 to nobody',
    to: ['owners', 'large-owners'],
    damage: owners((id) => (id > 65_535 ? 65_534 : id)),
  },
  {
    does: 'gives directories to root',
    to: ['owners'],
    damage: owners((id, { stat }) => (stat.isDirectory() ? 0 : id)),
  },
  {
    does: 'drops the set-id bits of what is not root’s',
    to: ['owners'],
    damage: modes((mode, { stat }) => (stat.uid === 0n ? mode : mode & ~0o6000)),
  },
  {
    does: 'keeps 21 bits of owners',
    to: ['large-owners'],
    damage: owners((id) => id % 2_097_152),
  },
  {
    does: 'keeps 31 bits of owners',
    to: ['large-owners'],
    damage: owners((id) => id % 2_147_483_648),
  },
  {
    does: 'gives symbolic links to root',
    to: ['symlink-owners'],
    damage: owners((id, { stat }) => (stat.isSymbolicLink() ? 0 : id)),
  },
  {
    does: 'gives devices and pipes to root',
    to: ['device-owners'],
    damage: owners((id, { stat }) => (stat.isFile() || stat.isDirectory() ? id : 0)),
  },
  // Times.
  {
    does: 'cuts times to microseconds',
    to: ['nanosecond-times'],
    damage: times((ns) => ns - (((ns % 1000n) + 1000n) % 1000n)),
  },
  {
    does: 'counts fractions of a second before 1970 the wrong way',
    to: ['nanosecond-times'],
    damage: times((ns) => (ns < 0n ? (ns / second) * second - (ns % second) : ns)),
  },
  {
    does: 'takes a time of zero for none',
    to: ['times-of-zero'],
    damage: times((ns) => (ns === 0n ? BigInt(Date.now()) * 1_000_000n : ns)),
  },
  {
    does: 'takes 1970 for the beginning of time',
    to: ['times-before-1970', 'nanosecond-times'],
    damage: times((ns) => (ns < 0n ? 0n : ns)),
  },
  {
    does: 'keeps 31 bits of times',
    to: ['times-after-2038', 'times-after-2242'],
    damage: times((ns) => (ns < 0n ? ns : ns % (second << 31n))),
  },
  {
    does: 'keeps 33 bits of times',
    to: ['times-after-2242'],
    damage: times((ns) => (ns < 0n ? ns : ns % (second << 33n))),
  },
  {
    does: 'fills directories after it set their times',
    to: ['directory-times'],
    damage: times((ns, { at, stat }) =>
      stat.isDirectory() && readdirSync(at).length > 0 ? BigInt(Date.now()) * 1_000_000n : ns,
    ),
  },
  {
    does: 'leaves symbolic links the time of their making',
    to: ['symlink-times', 'times-of-zero'],
    damage: times((ns, { stat }) => (stat.isSymbolicLink() ? BigInt(Date.now()) * 1_000_000n : ns)),
  },
  {
    does: 'gives symbolic links the times of their targets',
    to: ['symlink-times'],
    damage: times((ns, { at, stat }) =>
      stat.isSymbolicLink() && existsSync(at) ? statSync(at, { bigint: true }).mtimeNs : ns,
    ),
  },
  // Symbolic links.
  {
    does: 'makes absolute symbolic links relative',
    to: ['symlinks'],
    damage: links((target) => target.replace(/^\/+/, '')),
  },
  {
    does: 'cleans the targets of symbolic links',
    to: ['symlinks'],
    damage: links((target) => path.posix.normalize(target)),
  },
  {
    does: 'leaves out symbolic links that lead nowhere',
    to: ['dead-symlinks'],
    damage: wherever(
      ({ at, stat }) => stat.isSymbolicLink() && !existsSync(at),
      ({ at }) => rmSync(at),
    ),
  },
  {
    does: 'follows symbolic links to directories',
    to: ['dead-symlinks', 'symlinks'],
    damage: wherever(
      ({ at, stat }) => stat.isSymbolicLink() && existsSync(at) && statSync(at).isDirectory(),
      ({ at }) => {
        rmSync(at)
        mkdirSync(at)
      },
    ),
  },
  {
    does: 'cuts the targets of symbolic links at 100 bytes',
    to: ['long-symlinks'],
    damage: links((target) => target.slice(0, 100)),
  },
  {
    does: 'cuts the targets of symbolic links at 255 bytes',
    to: ['long-symlinks'],
    damage: links((target) => target.slice(0, 255)),
  },
  // Hard links.
  {
    does: 'makes copies of hard links',
    to: ['hard-links', 'hundred-hard-links', 'owned-file-capabilities', 'user-xattrs'],
    damage: separates((stat) => stat.isFile()),
  },
  {
    does: 'makes one file of files that are equal',
    to: ['hard-links'],
    damage: wherever(
      ({ name }) => name === 'twin' || name.endsWith('/twin'),
      ({ at }, tree) => {
        rmSync(at)
        linkSync(bytePath(tree, 'third'), at)
      },
    ),
  },
  {
    does: 'keeps no more than 64 names of a file together',
    to: ['hundred-hard-links'],
    damage: separates((stat) => stat.isFile() && stat.nlink > 64n),
  },
  {
    does: 'makes copies of hard links of symbolic links',
    to: ['hard-linked-symlinks'],
    damage: separates((stat) => stat.isSymbolicLink()),
  },
  {
    does: 'follows hard links of symbolic links',
    to: ['hard-linked-symlinks'],
    damage: wherever(
      ({ at, stat }) => stat.isSymbolicLink() && stat.nlink > 1n && existsSync(at),
      ({ at }) => {
        const content = readFileSync(at)
        rmSync(at)
        writeFileSync(at, content)
      },
    ),
  },
  {
    does: 'makes copies of hard links of pipes',
    to: ['hard-linked-fifos'],
    damage: separates((stat) => stat.isFIFO()),
  },
  {
    does: 'makes copies of hard links of devices',
    to: ['hard-linked-devices'],
    damage: separates((stat) => stat.isCharacterDevice() || stat.isBlockDevice()),
  },
  // Nodes.
  {
    does: 'leaves out named pipes',
    to: ['fifos', 'hard-linked-fifos', 'device-owners'],
    damage: wherever(
      ({ stat }) => stat.isFIFO(),
      ({ at }) => rmSync(at),
    ),
  },
  {
    does: 'makes files of devices',
    to: ['devices', 'device-owners', 'hard-linked-devices'],
    damage: wherever(isDevice, (found) => remake(found, S.IFREG, 0n)),
  },
  {
    does: 'keeps eight bits of the numbers of devices',
    to: ['devices'],
    damage: wherever(isDevice, (found) => {
      const { mode, rdev } = found.stat
      if (rdev > 0xffffn) remake(found, Number(mode), rdev & 0xffffn)
    }),
  },
  {
    does: 'makes character devices of block devices',
    to: ['devices', 'device-owners', 'hard-linked-devices'],
    damage: wherever(
      ({ stat }) => stat.isBlockDevice(),
      (found) => remake(found, S.IFCHR, found.stat.rdev),
    ),
  },
  {
    does: 'leaves out empty directories',
    to: ['empty-directories', 'directory-times'],
    damage: wherever(
      ({ at, stat }) => stat.isDirectory() && readdirSync(at).length === 0,
      ({ at }) => remove(at),
    ),
  },
  // Attributes.
  {
    does: 'drops user attributes',
    to: ['user-xattrs', 'directory-xattrs', 'xattr-names'],
    damage: dropsXattrs((name) => name.startsWith('user.')),
  },
  {
    does: 'ends values of attributes at a byte of zero',
    to: ['user-xattrs'],
    damage: xattrs((name, value) =>
      name.startsWith('user.') && value.includes(0) ? value.subarray(0, value.indexOf(0)) : value,
    ),
  },
  {
    does: 'drops attributes without a value',
    to: ['user-xattrs'],
    damage: dropsXattrs((_, value) => value.length === 0),
  },
  {
    does: 'drops attributes of empty files',
    to: ['user-xattrs'],
    damage: dropsXattrs((_name, _value, { stat }) => stat.isFile() && stat.size === 0n),
  },
  {
    does: 'drops attributes of directories',
    to: ['directory-xattrs'],
    damage: dropsXattrs((_name, _value, { stat }) => stat.isDirectory()),
  },
  {
    does: 'drops attributes whose name has an equals sign',
    to: ['xattr-names'],
    damage: dropsXattrs((name) => name.includes('=')),
  },
  {
    does: 'drops attributes of files whose names are not ASCII',
    to: ['xattr-names'],
    damage: dropsXattrs((_name, _value, { name }) => /[^\0-~]/.test(name)),
  },
  {
    does: 'drops capabilities',
    to: ['file-capabilities', 'owned-file-capabilities', 'namespaced-file-capabilities'],
    damage: dropsXattrs((name) => name === 'security.capability'),
  },
  {
    does: 'changes owners after it set capabilities',
    to: ['owned-file-capabilities'],
    damage: wherever(
      ({ stat }) => stat.isFile() && stat.uid !== 0n,
      ({ at, stat }) => lchownSync(at, Number(stat.uid), Number(stat.gid)),
    ),
  },
  {
    does: 'makes capabilities of a namespace those of the host',
    to: ['namespaced-file-capabilities'],
    damage: xattrs((name, value) => {
      if (name !== 'security.capability' || value.length !== 24) return value
      const host = Buffer.from(value.subarray(0, 20))
      host[3] = 2
      return host
    }),
  },
  // Names.
  {
    does: 'cuts names at 100 bytes',
    to: ['long-names', 'long-paths'],
    damage: names((name) => name.slice(0, 100)),
  },
  {
    does: 'leaves out names of 255 bytes',
    to: ['long-names'],
    damage: names((name) => (name.length === 255 ? undefined : name)),
  },
  {
    does: 'leaves out paths of more than 255 bytes',
    to: ['long-paths'],
    damage: wherever(
      ({ name }) => name.length > 255,
      ({ at }) => remove(at),
    ),
  },
  {
    does: 'leaves out paths of more than 2048 bytes',
    to: ['long-paths'],
    damage: wherever(
      ({ name }) => name.length > 2048,
      ({ at }) => remove(at),
    ),
  },
  {
    does: 'reads lists of names line by line',
    to: ['odd-names'],
    damage: names((name) => (name.includes('\n') ? undefined : name)),
  },
  {
    does: 'trims names',
    to: ['odd-names'],
    damage: names((name) => name.trim() || undefined),
  },
  {
    does: 'takes backslashes in names for escapes',
    to: ['odd-names'],
    damage: names((name) => name.replaceAll('\\012', '\n')),
  },
  {
    does: 'takes names with a leading dash for options',
    to: ['odd-names'],
    damage: names((name) => (name.startsWith('-') ? undefined : name)),
  },
  {
    does: 'takes what is after a colon in a name for a stream',
    to: ['colons-in-names'],
    damage: names((name) => (/^[^:]+:/.test(name) ? undefined : name)),
  },
  {
    does: 'takes names that begin with two dots for a way out',
    to: ['dotted-names'],
    damage: names((name) => (name.startsWith('..') ? undefined : name)),
  },
  {
    does: 'leaves out hidden files',
    to: ['dotted-names'],
    damage: names((name) => (name.startsWith('.') ? undefined : name)),
  },
  {
    does: 'composes letters in names',
    to: ['unicode-names'],
    damage: names((name) => (latin1(utf8(name)) === name ? latin1(utf8(name).normalize('NFC')) : name)),
  },
  {
    does: 'takes names for UTF-8',
    to: ['names-not-utf-8'],
    damage: names((name) => latin1(utf8(name))),
  },
  {
    does: 'takes the targets of symbolic links for UTF-8',
    to: ['names-not-utf-8'],
    damage: links((target) => latin1(utf8(target))),
  },
  {
    does: 'folds the case of names',
    to: ['names-by-case'],
    damage: names((name) => name.toLowerCase()),
  },
  {
    does: 'takes what begins like a directory for something in it',
    to: ['names-around-slash'],
    damage: wherever(
      (found) => baseName(found).length > 1,
      (found, tree) => {
        const [first = ''] = baseName(found)
        const shorter = found.name.slice(0, -baseName(found).length) + first
        if (existsSync(bytePath(tree, shorter))) remove(found.at)
      },
    ),
  },
  {
    does: 'goes no deeper than a hundred levels',
    to: ['deep-directories'],
    damage: wherever(
      ({ name }) => name.split('/').length > 100,
      ({ at }) => remove(at),
    ),
  },
  {
    does: 'shows no more than 1024 names of a directory',
    to: ['wide-directories'],
    damage: wherever(
      ({ at, stat }) => stat.isDirectory() && readdirSync(at).length > 1024,
      ({ at }) => {
        for (const name of readdirSync(at).slice(1024)) rmSync(path.join(at.toString(), name))
      },
    ),
  },
]

export const treeMutants: readonly Mutant[] = [
  ...harms.flatMap(both),
  inChildren({
    does: 'makes pipes of sockets',
    to: ['sockets'],
    damage: wherever(
      ({ stat }) => stat.isSocket(),
      (found) => remake(found, S.IFIFO, 0n),
    ),
  }),
  inChildren({
    does: 'drops trusted attributes of what is no file',
    to: ['trusted-xattrs'],
    damage: dropsXattrs((name, _, { stat }) => name.startsWith('trusted.') && !stat.isFile()),
  }),
  inChildren({
    does: 'drops what directories hand down of access lists',
    to: ['acls'],
    damage: dropsXattrs((name) => name === 'system.posix_acl_default'),
  }),
  inChildren({
    does: 'narrows access lists with the mode',
    to: ['acls'],
    damage: modes((mode) => mode & ~0o020),
  }),
  inChildren({
    does: 'fills holes',
    to: ['sparse-files-stay-sparse'],
    damage: wherever(
      ({ stat }) => stat.isFile() && stat.size > 1n << 20n,
      ({ at }) => writeFileSync(at, readFileSync(at)),
    ),
  }),
]
