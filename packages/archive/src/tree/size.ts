import { type Path, type Stat } from '@graphdriver/sys'
import type { TreeChange } from './change.ts'
import { changesBetween } from './changes.ts'
import { ParentDirectories } from './parent-directories.ts'
import { isDirectory, walkTree } from './walk.ts'

/** Adds up sizes, each inode once. */
class Sum {
  readonly #seen = new Set<string>()
  bytes = 0

  add(stat: Stat): void {
    if (isDirectory(stat)) return
    if (stat.nlink > 1) {
      const key = `${stat.dev}:${stat.ino}`
      if (this.#seen.has(key)) return
      this.#seen.add(key)
    }
    this.bytes += stat.size
  }
}

/** Bytes of all that is no directory in a tree, each inode once; a symlink counts the length of its target. */
export function treeSize(tree: Path, check: () => void): number {
  const sum = new Sum()
  walkTree(
    tree,
    {
      visit: ({ stat }) => {
        sum.add(stat)
        return true
      },
    },
    check,
  )
  return sum.bytes
}

/** How many directories a tree has, its root included. */
export function countDirectories(tree: Path, check: () => void): number {
  let count = 1
  walkTree(
    tree,
    {
      visit: ({ stat }) => {
        if (isDirectory(stat)) count++
        return true
      },
    },
    check,
  )
  return count
}

/** The same of what was added and modified only. What is gone counts nothing. */
export function changesSize(tree: Path, changes: readonly TreeChange[], check: () => void): number {
  const sum = new Sum()
  using parents = new ParentDirectories(tree)
  for (const [index, change] of changes.entries()) {
    if (index % 256 === 0) check()
    if (change.kind === 'delete') continue
    const stat = parents.locate(change.path)?.stat
    if (stat !== undefined) sum.add(stat)
  }
  return sum.bytes
}

/** `changesSize` of what differs from `base`, in one go, so that names need no conversion. */
export function diffSize(tree: Path, base: Path | undefined, check: () => void): number {
  return changesSize(tree, changesBetween(tree, base, check), check)
}
