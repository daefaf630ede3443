import { AT_EMPTY_PATH, isSystemError, lgetxattr, type Path, S, type Stat, statx } from '@graphdriver/sys'
import type { OverlayWhiteouts } from '../apply/options.ts'
import { byPath, type TreeChange } from './change.ts'
import { EntryWriter } from './entry-writer.ts'
import { located } from './located.ts'
import { ParentDirectories } from './parent-directories.ts'
import { xattrPath } from './portable-xattrs.ts'
import { isDirectory, join, type TreeEntry, walkTree } from './walk.ts'

type Sink = (chunk: Uint8Array) => void

export interface PackOptions {
  /** How deletions are recorded in this tree; `none` when it is a plain tree. */
  readonly whiteouts: 'none' | OverlayWhiteouts
}

const whiteoutPrefix = Buffer.from('.wh.')
const opaqueMarker = Buffer.from('.wh..wh..opq')
const slash = 0x2f

/**
 * Writes a whole tree as a layer tar. The root's own attributes are not in it, as in every layer that Docker made.
 * The sink's chunks are valid only during the call.
 */
export function packTree(tree: Path, sink: Sink, options: PackOptions, check: () => void): void {
  const writer = new EntryWriter(sink, check)
  const overlay = options.whiteouts === 'none' ? undefined : options.whiteouts
  walkTree(
    tree,
    {
      visit: (entry) => {
        if (isReserved(entry.name)) return false
        if (overlay !== undefined && isOverlayWhiteout(entry.stat)) {
          writer.addMarker(whiteoutOf(entry.path), { ...ownerOf(entry.stat), mode: S.IFREG | 0o600 })
          return false
        }
        writer.add(entry)
        if (overlay !== undefined && isDirectory(entry.stat) && isOpaque(entry, overlay)) {
          const mode = S.IFREG | (entry.stat.mode & 0o777)
          writer.addMarker(join(entry.path, opaqueMarker), { ...ownerOf(entry.stat), mode, mtimeNs: 0n })
        }
        return true
      },
    },
    check,
  )
  writer.finish()
}

/**
 * A name that would delete another where the tar is applied. No layer can have it, as the OCI's specification puts
 * it, so what somebody called that is left out with all that is in it.
 */
function isReserved(name: Buffer): boolean {
  return name.subarray(0, whiteoutPrefix.length).equals(whiteoutPrefix)
}

/** overlayfs(5): a deletion is a character device 0:0, of which newer kernels hard-link one for all. */
function isOverlayWhiteout(stat: Stat): boolean {
  return (stat.mode & S.IFMT) === S.IFCHR && stat.rdevMajor === 0 && stat.rdevMinor === 0
}

function isOpaque(entry: TreeEntry, { xattr }: OverlayWhiteouts): boolean {
  try {
    const value = lgetxattr(xattrPath(entry.directory, entry.name), `${xattr}.overlay.opaque`)
    return value?.toString('latin1') === 'y'
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTSUP', 'EOPNOTSUPP')) return false
    throw error
  }
}

function ownerOf(stat: Stat): { readonly uid: number; readonly gid: number; readonly mtimeNs: bigint } {
  const mtimeNs = BigInt(stat.mtimeSec) * 1_000_000_000n + BigInt(stat.mtimeNsec)
  return { uid: stat.uid, gid: stat.gid, mtimeNs }
}

/** `d/x` is deleted by `d/.wh.x`. */
function whiteoutOf(path: Buffer): Buffer {
  const split = path.lastIndexOf(slash) + 1
  return Buffer.concat([path.subarray(0, split), whiteoutPrefix, path.subarray(split)])
}

function pathIsReserved(path: Buffer): boolean {
  return isReserved(path) || path.includes('/.wh.')
}

/**
 * Writes just these changes, content from `tree`, as a layer tar; deletions as whiteout entries. Docker gives those the
 * time of the export, so that no two exports are alike; here they have the time of the directory that lost the name.
 */
export function exportChanges(
  tree: Path,
  changes: readonly TreeChange[],
  sink: Sink,
  check: () => void,
): void {
  const writer = new EntryWriter(sink, check)
  using parents = new ParentDirectories(tree)
  for (const [index, change] of changes.toSorted(byPath).entries()) {
    if (index % 256 === 0) check()
    if (pathIsReserved(change.path)) continue
    if (change.kind === 'delete') {
      const mtimeNs = timeAbove(parents, change.path)
      writer.addMarker(whiteoutOf(change.path), { mode: 0, uid: 0, gid: 0, mtimeNs })
      continue
    }
    located(tree, change.path, () => {
      const entry = parents.locate(change.path)
      if (entry !== undefined) writer.add(entry)
    })
  }
  writer.finish()
}

/** When the directory that a path is in last changed, in whole seconds, which a tar has without an extension. */
function timeAbove(parents: ParentDirectories, path: Buffer): bigint {
  const directory = parents.directory(path.subarray(0, Math.max(path.lastIndexOf(slash), 0)))
  return directory === undefined ? 0n : BigInt(statx(directory, '', AT_EMPTY_PATH).mtimeSec) * 1_000_000_000n
}
