/** What files have on a filesystem that no call of POSIX tells of: the streams and descriptors of NTFS. */
import type { Stat } from '@graphdriver/sys'

/** Paths are for calls that do not follow a link in the end. */
export interface ExtraAttributes {
  /** Makes a copy of what POSIX sees for something that it is not. @returns false to have it made as it looks */
  create(source: Buffer, target: Buffer, stat: Stat): boolean
  /**
   * Gives a copy what POSIX has not copied, when all else of it is done; what this changes of the rest, it puts right.
   *
   * @param stat of the source
   */
  copy(source: Buffer, target: Buffer, stat: Stat): void
  /** Whether one file differs from another that is the same to POSIX. */
  differ(ours: Buffer, theirs: Buffer): boolean
}
