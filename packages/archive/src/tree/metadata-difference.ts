import type { Stat } from '@graphdriver/sys'
import { isDirectory } from './walk.ts'

/**
 * Whether one entry differs from another in what statx(2) tells, by the rules of a layer's changes: a directory's own
 * size and time say nothing of it.
 */
export function metadataDiffers(ours: Stat, theirs: Stat): boolean {
  if (
    ours.mode !== theirs.mode ||
    ours.uid !== theirs.uid ||
    ours.gid !== theirs.gid ||
    ours.rdevMajor !== theirs.rdevMajor ||
    ours.rdevMinor !== theirs.rdevMinor
  ) {
    return true
  }
  return !isDirectory(theirs) && (ours.size !== theirs.size || !sameTime(ours, theirs))
}

/** To the nanosecond, or to the second where one side has only seconds, as files from most tars do. */
function sameTime(ours: Stat, theirs: Stat): boolean {
  if (ours.mtimeSec !== theirs.mtimeSec) return false
  return ours.mtimeNsec === theirs.mtimeNsec || ours.mtimeNsec === 0 || theirs.mtimeNsec === 0
}
