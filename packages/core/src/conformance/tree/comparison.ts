import { closeSync, openSync, readSync } from 'node:fs'
import type { Capabilities } from '../../capabilities.ts'
import { type Tree, type TreeFile, bytePath, walkTree } from './tree.ts'
import { readXattrs } from './xattr.ts'

export type Aspect =
  | 'existence'
  | 'type'
  | 'mode'
  | 'owner'
  | 'mtime'
  | 'xattrs'
  | 'device'
  | 'target'
  | 'hardlink'
  | 'size'
  | 'content'

export interface Difference {
  /** Absolute within the tree, one character per byte. */
  readonly path: string
  readonly aspect: Aspect
  readonly expected: string
  readonly found: string
}

/** A difference that is right, and why. */
export interface Exception {
  readonly reason: string
  readonly aspect: Aspect
  /** Which paths it is about; all when absent. */
  readonly path?: RegExp | undefined
}

export interface ComparisonOptions {
  readonly exceptions?: readonly Exception[] | undefined
  /** To what times are compared; by default to the nanosecond. */
  readonly timestamps?: Capabilities['timestamps'] | undefined
}

/** Digits of a second's fraction. */
const digits = { nanoseconds: 9, 'hundreds-of-nanoseconds': 7, seconds: 0 } as const

/** A time as far as it is compared: seconds, and the digits of its fraction that count. */
export function timeText(
  seconds: string,
  fraction: string,
  timestamps: ComparisonOptions['timestamps'] = 'nanoseconds',
): string {
  return `${seconds}.${fraction.slice(0, digits[timestamps])}`
}

const second = 1_000_000_000n

function aspects(file: TreeFile, { timestamps }: ComparisonOptions): ReadonlyMap<Aspect, string> {
  const { type, mode, owner, mtimeNs, xattrs, device, target, firstName, size } = file
  const said = new Map<Aspect, string>([
    ['type', type],
    ['mode', mode.toString(8).padStart(4, '0')],
    ['owner', owner],
    ['mtime', timeText(String(mtimeNs / second), String(mtimeNs % second).padStart(9, '0'), timestamps)],
    ['xattrs', JSON.stringify(xattrs)],
  ])
  // A directory has one name, and its size is the filesystem's business.
  if (type !== 'directory') said.set('hardlink', firstName).set('size', String(size))
  if (device !== undefined) said.set('device', device)
  if (target !== undefined) said.set('target', target)
  return said
}

function* compareFiles(
  path: string,
  [expected, found]: readonly [TreeFile, TreeFile],
  options: ComparisonOptions,
): Generator<Difference> {
  const right = aspects(found, options)
  for (const [aspect, value] of aspects(expected, options)) {
    const other = right.get(aspect) ?? 'none'
    if (value !== other) yield { path, aspect, expected: value, found: other }
    // Of two different things the rest says nothing.
    if (aspect === 'type' && value !== other) return
  }
}

const chunk = 1 << 20

/** Reads both files, of `size` bytes, beside each other; the offset of the first difference, if there is one. */
function firstDifference(expected: Buffer, found: Buffer, size: number): number | undefined {
  const left = openSync(expected, 'r')
  const right = openSync(found, 'r')
  const length = Math.max(1, Math.min(size, chunk))
  const [a, b] = [Buffer.allocUnsafe(length), Buffer.allocUnsafe(length)]
  try {
    for (let offset = 0; ;) {
      const [read, other] = [readSync(left, a), readSync(right, b)]
      const common = Math.min(read, other)
      if (!a.subarray(0, common).equals(b.subarray(0, common))) {
        return offset + a.subarray(0, common).findIndex((byte, index) => byte !== b[index])
      }
      if (read !== other) return offset + common
      if (read === 0) return undefined
      offset += read
    }
  } finally {
    closeSync(left)
    closeSync(right)
  }
}

function* differences(
  roots: readonly [string, string],
  [expected, found]: readonly [Tree, Tree],
  options: ComparisonOptions,
): Generator<Difference> {
  const names = new Set([...expected.keys(), ...found.keys()])
  for (const name of [...names].toSorted((a, b) => (a < b ? -1 : 1))) {
    const [left, right, path] = [expected.get(name), found.get(name), `/${name}`]
    if (left === undefined || right === undefined) {
      const [there, nothing] = [left?.type ?? 'nothing', right?.type ?? 'nothing']
      yield { path, aspect: 'existence', expected: there, found: nothing }
      continue
    }
    yield* compareFiles(path, [left, right], options)
    if (left.type !== 'file' || right.type !== 'file' || left.size !== right.size) continue
    const offset = firstDifference(bytePath(roots[0], name), bytePath(roots[1], name), Number(left.size))
    if (offset === undefined) continue
    yield { path, aspect: 'content', expected: 'equal bytes', found: `another byte at offset ${offset}` }
  }
}

function printable(text: string): string {
  return text.replaceAll(
    /[^ -~]/g,
    (character) => String.raw`\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`,
  )
}

/**
 * Compares two trees in everything a layer says of a file: name, type, mode, owner, time, extended attributes,
 * hard links, device number, link target, size and bytes. One line per difference; none when they are equal.
 */
export async function compareTrees(
  expected: string,
  found: string,
  options: ComparisonOptions = {},
): Promise<readonly string[]> {
  const exceptions = options.exceptions ?? []
  const xattrs = await readXattrs(expected, found)
  const trees = [walkTree(expected, xattrs[0]), walkTree(found, xattrs[1])] as const
  return [...differences([expected, found], trees, options)]
    .filter(
      ({ aspect, path }) =>
        !exceptions.some((exception) => exception.aspect === aspect && exception.path?.test(path) !== false),
    )
    .map((d) => printable(`${d.aspect} of ${d.path}: expected ${d.expected}, found ${d.found}`))
}
