import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  isSystemError,
  lgetxattr,
  type Path,
  S,
  type Stat,
  statx,
} from '@graphdriver/sys'
import type { LayerFormat } from '../apply/options.ts'
import { aufsName, isReserved, opaqueMarker, whiteoutName } from '../aufs/names.ts'
import { byPath, type TreeChange } from './change.ts'
import { EntryWriter } from './entry-writer.ts'
import { located } from './located.ts'
import { isOverlayWhiteout } from './overlay-whiteout.ts'
import { ParentDirectories } from './parent-directories.ts'
import { xattrPath } from './portable-xattrs.ts'
import { isDirectory, join, type TreeEntry, walkTree } from './walk.ts'

type Sink = (chunk: Uint8Array) => void

export interface PackOptions {
  /** How deletions are recorded in this tree; `none` when it is a plain tree. */
  readonly whiteouts: 'none' | LayerFormat
  /** The name of something in the tree's root: it alone, with what is in it. */
  readonly only?: string | undefined
}

const slash = 0x2f

/**
 * Writes a whole tree as a layer tar. The root's own attributes are not in it, as in every layer that Docker made.
 * The sink's chunks are valid only during the call.
 */
export function packTree(tree: Path, sink: Sink, options: PackOptions, check: () => void): void {
  const writer = new EntryWriter(sink, check)
  const format = options.whiteouts === 'none' ? undefined : options.whiteouts
  const only = options.only === undefined ? undefined : Buffer.from(options.only)
  const isLeftOut = ({ path, name }: TreeEntry): boolean =>
    only !== undefined && path.length === name.length && !only.equals(name)
  const visit = (entry: TreeEntry): boolean => {
    if (isLeftOut(entry)) return false
    if (isReserved(entry.name)) {
      if (format?.format === 'aufs') addMark(writer, entry)
      return false
    }
    if (format !== undefined && isOverlayWhiteout(entry.stat)) {
      writer.addMarker(whiteoutOf(entry.path), { ...ownerOf(entry.stat), mode: markMode })
      return false
    }
    writer.add(entry)
    if (format !== undefined && isDirectory(entry.stat) && isOpaque(entry, format)) {
      const mode = S.IFREG | (entry.stat.mode & 0o777)
      writer.addMarker(join(entry.path, opaqueMarker), { ...ownerOf(entry.stat), mode, mtimeNs: 0n })
    }
    return true
  }
  walkTree(tree, { visit, nameOf: format?.format === 'aufs' ? markedName : undefined }, check)
  writer.finish()
}

const markMode = S.IFREG | 0o600

/** AUFS's own file for a deletion. That of an opaque directory was written beside the directory. */
function addMark(writer: EntryWriter, { name, path, stat }: TreeEntry): void {
  const { kind } = aufsName(name)
  if (kind === 'whiteout' || (kind === 'opaque' && path.equals(name)))
    writer.addMarker(path, { ...ownerOf(stat), mode: markMode })
}

/** Where a mark belongs among its neighbours: where overlayfs has the device for it. */
function markedName(name: Buffer): Buffer {
  const meaning = aufsName(name)
  return meaning.kind === 'whiteout' ? meaning.target : name
}

/** By the attribute, or by AUFS's file. */
function isOpaque({ directory, name }: TreeEntry, { format, xattr }: LayerFormat): boolean {
  try {
    const value = lgetxattr(xattrPath(directory, name), `${xattr}.overlay.opaque`)
    if (value?.toString('latin1') === 'y') return true
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ENOTSUP', 'EOPNOTSUPP')) throw error
  }
  if (format !== 'aufs') return false
  try {
    statx(directory, join(name, opaqueMarker), AT_SYMLINK_NOFOLLOW)
    return true
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return false
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
  return Buffer.concat([path.subarray(0, split), whiteoutName(path.subarray(split))])
}

/**
 * A reserved name would delete another where the tar is applied. No layer can have it, as the OCI's specification puts
 * it, so what somebody called that is left out with all that is in it.
 */
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
