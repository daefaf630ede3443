/**
 * What a driver must report as changed, worked out from two trees that were read independently of it.
 *
 * The rules are Docker's: metadata decides; the size and time of a directory say nothing; a directory in which
 * something changed is itself listed as modified; of what was deleted only the topmost name is listed; the root never.
 */
import type { Change } from '../../driver.ts'
import type { Tree, TreeFile } from './tree.ts'

/** Attributes that travel with a layer. */
function isPortable([name]: readonly [string, string]): boolean {
  return name === 'security.capability' || (name.startsWith('user.') && !name.startsWith('user.overlay.'))
}

function portable({ xattrs }: TreeFile): string {
  return JSON.stringify(Object.entries(xattrs).filter(isPortable))
}

function differs(a: TreeFile, b: TreeFile): boolean {
  if (a.type !== b.type || a.mode !== b.mode || a.owner !== b.owner) return true
  if (a.device !== b.device || a.target !== b.target || portable(a) !== portable(b)) return true
  return a.type !== 'directory' && (a.size !== b.size || a.mtimeNs !== b.mtimeNs)
}

function parentOf(name: string): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')))
}

/** Sorted by the bytes of the paths, which are one character per byte in `Tree` and text in a `Change`. */
export function expectedChanges(before: Tree, after: Tree): readonly Change[] {
  const kinds = new Map<string, Change['kind']>()
  for (const [name, file] of after) {
    if (name === '') continue
    const old = before.get(name)
    if (old === undefined) kinds.set(name, 'add')
    else if (differs(file, old)) kinds.set(name, 'modify')
  }
  for (const name of before.keys()) {
    const parent = parentOf(name)
    if (!after.has(name) && after.get(parent)?.type === 'directory') kinds.set(name, 'delete')
  }
  for (const name of kinds.keys()) {
    for (let above = parentOf(name); above !== ''; above = parentOf(above)) {
      if (!kinds.has(above)) kinds.set(above, 'modify')
    }
  }
  return [...kinds]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, kind]) => ({ path: `/${Buffer.from(name, 'latin1').toString()}`, kind }))
}

/** Bytes of file content that `after` adds to `before`: what was added or modified, each inode once. */
export function expectedSize(before: Tree, after: Tree): number {
  const seen = new Set<string>()
  let bytes = 0
  for (const { path, kind } of expectedChanges(before, after)) {
    const file = after.get(Buffer.from(path.slice(1)).toString('latin1'))
    if (kind === 'delete' || file === undefined || file.type === 'directory') continue
    if (seen.has(file.firstName)) continue
    seen.add(file.firstName)
    bytes += Number(file.size)
  }
  return bytes
}
