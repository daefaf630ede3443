/** Bugs of one deed after another: what they break is right as long as either is done alone. */
import { chmodSync, copyFileSync, existsSync, linkSync, rmSync, utimesSync } from 'node:fs'
import path from 'node:path'
import type { Change, Driver } from '@graphdriver/core'
import { collect, type ReadEntry, readTar, readTree, type Tree } from '@graphdriver/core/conformance'
import { damagesChildren, editsDiffs, type Mutant } from '../mutant.ts'
import { ReferenceDriver } from '../reference.ts'

interface Applied {
  readonly tree: string
  readonly entries: readonly ReadEntry[]
  /** What was in the layer before. */
  readonly before: Tree
}

/** Diffs that are applied, and then damaged by who knows what was there before. */
function misapplies(damage: (applied: Applied) => void): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    async applyDiff(id, parent, tar, options) {
      const tree = intact.treeOf(id)
      const before = await readTree(tree)
      const bytes = await collect(tar)
      const size = await intact.applyDiff(id, parent, once(bytes), options)
      damage({ tree, before, entries: await readTar(bytes) })
      return size
    },
  })
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, void> {
  yield bytes
}

/** A name as trees have it, one character per byte. */
function bytesOf(name: string): string {
  return Buffer.from(name.replace(/\/$/, '')).toString('latin1')
}

function textOf(name: string): string {
  return Buffer.from(name, 'latin1').toString()
}

function depthOf(name: string): number {
  return name.replace(/\/$/, '').split('/').length
}

/** Lists of changes that are not quite right, for a layer that has a parent. */
function mislists(
  edit: (changes: readonly Change[], trees: readonly [before: Tree, after: Tree]) => readonly Change[],
): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    async changes(id, parent, options) {
      const changes = await intact.changes(id, parent, options)
      if (parent === undefined) return changes
      return edit(changes, [await readTree(intact.treeOf(parent)), await readTree(intact.treeOf(id))])
    },
  })
}

const wholeTree: Tree = new Map()

/** What other names of inodes weigh that have names in two directories. */
function scatteredBytes(tree: Tree): number {
  let bytes = 0
  for (const [name, { firstName, size, type }] of tree) {
    if (type === 'file' && path.dirname(name) !== path.dirname(firstName)) bytes += Number(size)
  }
  return bytes
}

export const generatedMutants: readonly Mutant[] = [
  {
    does: 'shares large files with the parent, and does not part them before they are written',
    caughtBy: ['generated/trees'],
    breaks: (intact) => ({
      async create(id, options) {
        await intact.create(id, options)
        const parent = options?.parent
        if (parent === undefined) return
        const [above, below] = [intact.treeOf(id), intact.treeOf(parent)]
        for (const [name, { type, size }] of await readTree(below)) {
          if (type !== 'file' || size < 65_536n) continue
          const file = textOf(name)
          rmSync(path.join(above, file))
          linkSync(path.join(below, file), path.join(above, file))
        }
      },
    }),
  },
  {
    does: 'parts hard links in a child whose names are in two directories',
    caughtBy: ['generated/trees'],
    breaks: damagesChildren(async (tree) => {
      for (const [name, { type, firstName, mode, mtimeNs }] of await readTree(tree)) {
        if (type !== 'file' || path.dirname(name) === path.dirname(firstName)) continue
        const file = path.join(tree, textOf(name))
        rmSync(file)
        copyFileSync(path.join(tree, textOf(firstName)), file)
        chmodSync(file, mode)
        utimesSync(file, Number(mtimeNs) / 1e9, Number(mtimeNs) / 1e9)
      }
    }),
  },
  {
    does: 'forgets what was deleted two directories down',
    caughtBy: ['generated/diffs'],
    breaks: editsDiffs((header) =>
      path.basename(header.name).startsWith('.wh.') && depthOf(header.name) > 2 ? undefined : header,
    ),
  },
  {
    does: 'loses the second of two hard links when a diff deletes the first',
    caughtBy: ['generated/diffs'],
    breaks: misapplies(({ tree, before }) => {
      for (const [name, { type, firstName }] of before) {
        if (type !== 'file' || name === firstName || existsSync(path.join(tree, textOf(firstName)))) continue
        rmSync(path.join(tree, textOf(name)), { recursive: true, force: true })
      }
    }),
  },
  {
    does: 'keeps the mode of a file that a diff replaces by a directory',
    caughtBy: ['generated/diffs'],
    breaks: misapplies(({ tree, before, entries }) => {
      for (const { name, type } of entries) {
        const old = before.get(bytesOf(name))
        if (type === 'directory' && old?.type === 'file') chmodSync(path.join(tree, name), old.mode)
      }
    }),
  },
  {
    does: 'reports what was deleted and made again as another type as deleted',
    caughtBy: ['generated/changes'],
    breaks: mislists((changes, [before, after]) =>
      changes.map((change) => {
        const name = bytesOf(change.path.slice(1))
        const isOther = before.has(name) && before.get(name)?.type !== after.get(name)?.type
        return isOther && change.kind === 'modify' ? { ...change, kind: 'delete' } : change
      }),
    ),
  },
  {
    does: 'leaves out what was added to a directory whose own mode was changed',
    caughtBy: ['generated/changes'],
    breaks: mislists((changes, [before, after]) =>
      changes.filter(({ path: changed, kind }) => {
        const parent = bytesOf(path.dirname(changed).slice(1))
        const old = before.get(parent)
        return kind !== 'add' || old?.type !== 'directory' || old.mode === after.get(parent)?.mode
      }),
    ),
  },
  {
    does: 'counts a file again that has names in two directories',
    caughtBy: ['generated/sizes'],
    breaks: (intact) => ({
      async diffSize(id, parent, options) {
        const size = await intact.diffSize(id, parent, options)
        const below = parent === undefined ? wholeTree : await readTree(intact.treeOf(parent))
        const own = [...(await readTree(intact.treeOf(id)))].filter(([name]) => !below.has(name))
        return size + scatteredBytes(new Map(own))
      },
    }),
  },
  {
    does: 'makes directories that nobody may write to writable when it finds them at its start',
    caughtBy: ['generated/restart'],
    redefines: (definition) => ({
      async open(host) {
        const driver = await definition.open(host)
        if (driver instanceof ReferenceDriver) {
          for await (const id of driver.layers()) await makeWritable(driver.treeOf(id))
        }
        return driver
      },
    }),
  },
]

async function makeWritable(tree: string): Promise<void> {
  for (const [name, { type, mode }] of await readTree(tree)) {
    if (type === 'directory' && (mode & 0o222) === 0) chmodSync(path.join(tree, textOf(name)), mode | 0o200)
  }
}
