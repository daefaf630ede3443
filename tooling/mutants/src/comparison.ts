/** Drivers whose comparison of two trees goes wrong: their changes and their diffs agree, and both are mistaken. */
import { type BigIntStats, lstatSync, readdirSync } from 'node:fs'
import path from 'node:path'
import type { Change, Driver } from '@graphdriver/core'
import type { ReferenceDriver } from './reference.ts'

/** What a comparison looks at. */
export interface Trees {
  readonly layer: string
  readonly base: string | undefined
}

export type Mistake = (truth: readonly Change[], trees: Trees) => readonly Change[]

export function mistakes(mistake: Mistake): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => {
    const changes: Driver['changes'] = async (id, parent, options) => {
      const truth = await intact.changes(id, parent, options)
      const base = parent === undefined ? undefined : intact.treeOf(parent)
      return mistake(truth, { layer: intact.treeOf(id), base }).toSorted(byPath)
    }
    return {
      changes,
      async *diff(id, parent, options) {
        const found = await changes(id, parent, options)
        yield* intact.workers.exportChanges(intact.treeOf(id), found, options)
      },
    }
  }
}

function byPath(a: Change, b: Change): number {
  return Buffer.from(a.path).compare(Buffer.from(b.path))
}

/** A file as it was and as it is, where it is in both trees. */
export interface Pair {
  readonly before: BigIntStats
  readonly after: BigIntStats
}

export function pairOf({ layer, base }: Trees, name: string): Pair | undefined {
  const [before, after] = [statOf(base, name), statOf(layer, name)]
  return before === undefined || after === undefined ? undefined : { before, after }
}

export function statOf(tree: string | undefined, name: string): BigIntStats | undefined {
  if (tree === undefined) return undefined
  try {
    return lstatSync(path.join(tree, name), { bigint: true })
  } catch {
    return undefined
  }
}

/** Everything in a tree, as changes name it. */
export function pathsIn(tree: string | undefined): readonly string[] {
  if (tree === undefined) return []
  return readdirSync(tree, { recursive: true, encoding: 'utf8' }).map((name) => `/${name}`)
}

type Aspect = 'type' | 'mode' | 'owner' | 'size' | 'time'

/** What lstat(2) tells of the difference, by the rules of changes. */
export function aspectsOf({ before, after }: Pair): readonly Aspect[] {
  const format = 0o170000n
  const differing: Aspect[] = []
  if ((before.mode & format) !== (after.mode & format)) differing.push('type')
  if ((before.mode & 0o7777n) !== (after.mode & 0o7777n)) differing.push('mode')
  if (before.uid !== after.uid || before.gid !== after.gid) differing.push('owner')
  if (after.isDirectory()) return differing
  if (before.size !== after.size) differing.push('size')
  if (before.mtimeNs !== after.mtimeNs) differing.push('time')
  return differing
}

/** A comparison that overlooks some modifications. A directory above others that are seen is seen with them. */
export function overlooks(unseen: (pair: Pair) => boolean): (intact: ReferenceDriver) => Partial<Driver> {
  return mistakes((truth, trees) =>
    truth.filter(({ path: name, kind }) => {
      const pair = kind === 'modify' ? pairOf(trees, name) : undefined
      if (pair === undefined || !unseen(pair)) return true
      return truth.some((other) => other.path.startsWith(`${name}/`))
    }),
  )
}

/** A comparison that lists more than there is to list. */
export function invents(more: Mistake): (intact: ReferenceDriver) => Partial<Driver> {
  return mistakes((truth, trees) => {
    const listed = new Set(truth.map(({ path: name }) => name))
    return [...truth, ...more(truth, trees).filter(({ path: name }) => !listed.has(name))]
  })
}
