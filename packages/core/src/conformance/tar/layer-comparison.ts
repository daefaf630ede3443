/**
 * Whether two layer tars say the same. Drivers may say it in several ways: that a directory hides what was below, or
 * that each of those names is gone; this name or that of an inode first; a directory that is as it was, or nothing.
 */
import type { Capabilities } from '../../capabilities.ts'
import { timeText } from '../tree/comparison.ts'
import type { Tree } from '../tree/tree.ts'
import type { ReadEntry } from './read-tar.ts'

export interface LayerComparisonOptions {
  /** What the layer is the difference to. */
  readonly base: Tree
  /** To what times are compared; by default to the nanosecond. */
  readonly timestamps?: Capabilities['timestamps'] | undefined
}

const whiteout = '.wh.'
const opaque = '.wh..wh..opq'

/** What a tar says, each in one way. */
interface Meaning {
  readonly entries: ReadonlyMap<string, ReadEntry>
  /** First names of inodes, by their other names. */
  readonly links: ReadonlyMap<string, string>
  readonly deleted: ReadonlySet<string>
}

type Base = ReadonlyMap<
  string,
  { readonly isDirectory: boolean; readonly mode: number; readonly owner: string }
>

/** Names as text: readers of tars decode them, trees keep bytes. */
function baseOf(tree: Tree): Base {
  return new Map(
    [...tree].map(([name, { type, mode, owner }]) => [
      Buffer.from(name, 'latin1').toString(),
      { isDirectory: type === 'directory', mode, owner },
    ]),
  )
}

function plainName(name: string): string {
  return name.replace(/^(\.?\/)+/, '').replace(/\/+$/, '')
}

function split(name: string): readonly [directory: string, last: string] {
  const at = name.lastIndexOf('/')
  return [name.slice(0, Math.max(0, at)), name.slice(at + 1)]
}

function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`
}

/** One line for each thing that only one of both says, or that they say differently. */
export function compareLayers(
  expected: readonly ReadEntry[],
  found: readonly ReadEntry[],
  { base: tree, timestamps }: LayerComparisonOptions,
): readonly string[] {
  const base = baseOf(tree)
  const [left, right] = [meaningOf(expected, base), meaningOf(found, base)]
  const names = new Set([...left.entries.keys(), ...right.entries.keys(), ...left.deleted, ...right.deleted])
  return [...names].toSorted().flatMap((name) => {
    const [a, b] = [saidOf(left, name, timestamps), saidOf(right, name, timestamps)]
    if (a === b || isSilent(left, right, base, name) || isSilent(right, left, base, name)) return []
    return [`${JSON.stringify(name)}: expected ${a}, found ${b}`]
  })
}

/** Whether `said` has a directory as it was below, which `unsaid` does not mention. */
function isSilent(said: Meaning, unsaid: Meaning, base: Base, name: string): boolean {
  const entry = said.entries.get(name)
  const below = base.get(name)
  if (entry?.type !== 'directory' || unsaid.entries.has(name) || unsaid.deleted.has(name)) return false
  if (name === '') return true
  return below?.isDirectory === true && below.mode === entry.mode && below.owner === entry.owner
}

function saidOf(
  { entries, links, deleted }: Meaning,
  name: string,
  timestamps: LayerComparisonOptions['timestamps'],
): string {
  const first = links.get(name)
  if (first !== undefined) return `another name of ${JSON.stringify(first)}`
  const entry = entries.get(name)
  if (entry === undefined) return deleted.has(name) ? 'a whiteout' : 'nothing'
  const { type, mode, owner, size, mtime, link, device, xattrs, digest } = entry
  const [seconds = '', fraction = ''] = mtime.split('.')
  const details = [
    type.endsWith('device') ? `device ${device}` : '',
    type === 'symlink' ? `to ${JSON.stringify(link)}` : '',
    type === 'file' ? `of ${size} bytes (sha256 ${digest.slice(0, 12)})` : '',
    `mode ${mode.toString(8).padStart(4, '0')}`,
    `owner ${owner}`,
    `time ${timeText(seconds, fraction.padEnd(9, '0'), timestamps)}`,
    xattrs.length > 0 ? `attributes ${xattrs.join(', ')}` : '',
  ]
  return [type, ...details.filter((detail) => detail !== '')].join(', ')
}

function meaningOf(tar: readonly ReadEntry[], base: Base): Meaning {
  const entries = new Map<string, ReadEntry>()
  const whiteouts = new Set<string>()
  const hiding = new Set<string>()
  for (const entry of tar) {
    const name = plainName(entry.name)
    const [directory, last] = split(name)
    if (last === opaque) hiding.add(directory)
    else if (last.startsWith(whiteout)) whiteouts.add(join(directory, last.slice(whiteout.length)))
    else entries.set(name, entry)
  }
  // Gone and there again: what is there hides what was.
  for (const name of whiteouts) if (entries.has(name)) hiding.add(name)
  const deleted = new Set([...whiteouts, ...hiddenBy(hiding, entries, base)])
  return {
    ...named(entries),
    deleted: new Set([...deleted].filter((name) => !entries.has(name))),
  }
}

/** The topmost names below directories that hide, which the tar does not have itself. */
function hiddenBy(
  hiding: ReadonlySet<string>,
  entries: ReadonlyMap<string, ReadEntry>,
  base: Base,
): readonly string[] {
  const isHiding = (directory: string): boolean =>
    hiding.has(directory) || (directory !== '' && isHiding(split(directory)[0]))
  return [...base.keys()].filter((name) => {
    if (name === '' || entries.has(name)) return false
    const [directory] = split(name)
    return isHiding(directory) && (directory === '' || entries.get(directory)?.type === 'directory')
  })
}

/** Gives the content of each inode to the first of its names. */
function named(tar: ReadonlyMap<string, ReadEntry>): Pick<Meaning, 'entries' | 'links'> {
  const groups = new Map<string, string[]>()
  for (const [name, { type, link }] of tar) {
    const owner = type === 'link' ? plainName(link) : name
    groups.set(owner, [...(groups.get(owner) ?? []), name])
  }
  const entries = new Map(tar)
  const links = new Map<string, string>()
  for (const [owner, group] of groups) {
    const [first = owner, ...others] = group.toSorted()
    const content = tar.get(owner)
    // A link to what the tar does not have stays what it is.
    if (content === undefined || content.type === 'link') continue
    entries.set(first, content)
    for (const name of others) links.set(name, first)
  }
  return { entries, links }
}
