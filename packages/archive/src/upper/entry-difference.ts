/** Whether one entry differs from another by the rules of a layer's changes: metadata decides, contents do not. */
import { readlinkSync } from 'node:fs'
import { metadataDiffers } from '../tree/metadata-difference.ts'
import { isSystemError, lgetxattr, llistxattr, S, type Stat } from '@graphdriver/sys'

/** An entry with its path, which is not followed. */
export interface Entry {
  readonly path: Buffer
  readonly stat: Stat
}

/** The same answer as the comparison of whole trees gives, which the cases with random work hold it to. */
export function differs(ours: Entry, theirs: Entry): boolean {
  if (metadataDiffers(ours.stat, theirs.stat)) return true
  switch (ours.stat.mode & S.IFMT) {
    case S.IFLNK:
      return !readlinkSync(ours.path, 'buffer').equals(readlinkSync(theirs.path, 'buffer'))
    case S.IFREG:
    case S.IFDIR:
      return attributesOf(ours.path) !== attributesOf(theirs.path)
    default:
      return false
  }
}

export function isDirectory({ stat }: Entry): boolean {
  return (stat.mode & S.IFMT) === S.IFDIR
}

/** What a layer carries of the extended attributes, as one comparable string. */
function attributesOf(path: Buffer): string {
  const names = namesOf(path).filter(isCarried).toSorted()
  return names.map((name) => `${name}=${lgetxattr(path, name)?.toString('latin1') ?? ''}`).join('\0')
}

function isCarried(name: string): boolean {
  return name === 'security.capability' || (name.startsWith('user.') && !name.startsWith('user.overlay.'))
}

function namesOf(path: Buffer): readonly string[] {
  try {
    return llistxattr(path)
  } catch (error) {
    if (isSystemError(error, 'ENOTSUP', 'EOPNOTSUPP')) return []
    throw error
  }
}
