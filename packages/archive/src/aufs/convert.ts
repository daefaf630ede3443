/**
 * One directory, now in AUFS's format, now in overlayfs's: a layer that is mounted to be written is an upper directory of
 * overlayfs, and nothing is copied for it. Both ways only marks are exchanged. Each step makes the new mark before
 * the old one goes, and does no harm when it is done again, so a walk that was cut short is just repeated.
 *
 * | | AUFS | overlayfs |
 * | --- | --- | --- |
 * | NAME is deleted | a file `.wh.NAME` | a character device 0:0, NAME |
 * | nothing of the layers below shows here | a file `.wh..wh..opq` | the attribute `trusted.overlay.opaque` |
 */
import { closeSync } from 'node:fs'
import {
  AT_EMPTY_PATH,
  AT_SYMLINK_NOFOLLOW,
  type DirectoryEntry,
  DT,
  fchownat,
  fgetxattr,
  fremovexattr,
  fsetxattr,
  futimens,
  isSystemError,
  O,
  openat,
  renameat2,
  S,
  type Stat,
  statx,
  unlinkat,
  utimensat,
} from '@graphdriver/sys'
import { atimeOf, mtimeOf } from '../tree/copy-attributes.ts'
import { removeEntry } from '../tree/remove.ts'
import { isOverlayWhiteout } from '../tree/overlay-whiteout.ts'
import { ParentDirectories } from '../tree/parent-directories.ts'
import { statIfThere } from '../tree/walk.ts'
import { GrowingTree } from './growing-tree.ts'
import { aufsName, isReserved, opaqueMarker, whiteoutName } from './names.ts'
import { makeWhiteout } from './shade.ts'
import { hasType, walkDirectories } from './walk-directories.ts'

type Xattr = 'trusted' | 'user'

const yes = Buffer.from('y')
const newFile = O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW
/** What AUFS gives its markers. */
const markerMode = 0o444

/** AUFS's bookkeeping goes: AUFS makes it anew when it mounts the layer. */
export function toOverlay(tree: string, xattr: Xattr, check: () => void): void {
  const opaque = `${xattr}.overlay.opaque`
  walkDirectories(
    tree,
    ({ fd, entries }) => {
      const markers = entries.filter(({ name }) => isReserved(name))
      if (markers.length === 0) return
      keepingTimes(fd, () => {
        for (const { name } of markers) {
          const meaning = aufsName(name)
          if (meaning.kind === 'opaque') fsetxattr(fd, opaque, yes)
          else if (meaning.kind === 'whiteout') whiteOut(fd, name, meaning.target, check)
          removeAt(fd, name, check)
        }
      })
    },
    check,
  )
}

export function toAufs(tree: string, xattr: Xattr, check: () => void): void {
  const opaque = `${xattr}.overlay.opaque`
  walkDirectories(
    tree,
    ({ fd, entries }) => {
      const gone = entries.filter((entry) => isWhiteout(fd, entry))
      const hides = isOpaque(fd, opaque)
      if (gone.length === 0 && !hides) return
      keepingTimes(fd, () => {
        for (const { name } of gone) markGone(fd, name)
        if (!hides) return
        makeMarker(fd, opaqueMarker)
        fremovexattr(fd, opaque)
      })
    },
    check,
  )
}

/**
 * Moves the files out of the way that somebody named like markers: overlayfs lets a container do that, and AUFS has no
 * name for them.
 */
export function setAside(tree: string, aside: string, check: () => void): void {
  using kept = new GrowingTree(aside)
  walkDirectories(
    tree,
    ({ fd, path, entries }) => {
      const named = entries.filter(({ name }) => isReserved(name))
      if (named.length === 0) return
      const target = kept.directory(path)
      keepingTimes(fd, () => {
        for (const { name } of named) renameat2(fd, name, target, name)
      })
    },
    check,
  )
}

/** Moves them back, where their directories are still there. What is left in `aside` has lost its place. */
export function bringBack(tree: string, aside: string, check: () => void): void {
  using layer = new ParentDirectories(tree)
  walkDirectories(
    aside,
    ({ fd, path, entries }) => {
      const named = entries.filter(({ name }) => isReserved(name))
      const target = named.length === 0 ? undefined : layer.directory(path)
      if (target === undefined) return
      keepingTimes(target, () => {
        for (const { name } of named) renameat2(fd, name, target, name)
      })
    },
    check,
  )
}

/** A file beside its own whiteout is one that nobody sees. */
function whiteOut(fd: number, marker: Buffer, target: Buffer, check: () => void): void {
  const there = statIfThere(fd, target)
  if (there !== undefined && !isOverlayWhiteout(there)) removeAt(fd, target, check)
  makeWhiteout(fd, target)
  describe(fd, target, statx(fd, marker, AT_SYMLINK_NOFOLLOW))
}

function markGone(fd: number, name: Buffer): void {
  const marker = whiteoutName(name)
  try {
    makeMarker(fd, marker)
  } catch (error) {
    // Too long for a marker. Whoever reads the layer here understands the device, too.
    if (isSystemError(error, 'ENAMETOOLONG')) return
    throw error
  }
  describe(fd, marker, statx(fd, name, AT_SYMLINK_NOFOLLOW))
  unlinkat(fd, name)
}

function makeMarker(fd: number, name: Buffer): void {
  try {
    closeSync(openat(fd, name, newFile, markerMode))
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error
  }
}

/** A mark has the owner and time of the deletion, whatever it looks like. */
function describe(fd: number, name: Buffer, stat: Stat): void {
  try {
    fchownat(fd, name, stat.uid, stat.gid, AT_SYMLINK_NOFOLLOW)
  } catch (error) {
    // Nobody asks whose it is; an owner that is not mapped here is no reason to fail.
    if (!isSystemError(error, 'EINVAL', 'EPERM')) throw error
  }
  utimensat(fd, name, atimeOf(stat), mtimeOf(stat), AT_SYMLINK_NOFOLLOW)
}

/** Nothing is changed that the layer's user changed, so its directories keep their times. */
function keepingTimes(fd: number, change: () => void): void {
  const stat = statx(fd, '', AT_EMPTY_PATH)
  change()
  futimens(fd, atimeOf(stat), mtimeOf(stat))
}

function isOpaque(fd: number, xattr: string): boolean {
  try {
    return fgetxattr(fd, xattr)?.toString() === 'y'
  } catch (error) {
    if (isSystemError(error, 'ENOTSUP', 'EOPNOTSUPP')) return false
    throw error
  }
}

function isWhiteout(fd: number, entry: DirectoryEntry): boolean {
  if (!hasType(fd, entry, DT.CHR, S.IFCHR)) return false
  const stat = statIfThere(fd, entry.name)
  return stat !== undefined && isOverlayWhiteout(stat)
}

function removeAt(fd: number, name: Buffer, check: () => void): void {
  removeEntry(`/proc/self/fd/${fd}`, name, () => (check(), true))
}
