/** What the tar of a layer does to one path. */
import { cleanName, type EntryPath, shownName } from '../apply/entry-path.ts'
import { meaningOf } from '../apply/whiteout.ts'
import type { TarEntryType, TarHeader } from '../tar/header.ts'
import type { TarHandler } from '../tar/parser.ts'

export interface PathDeed {
  /** What the layers below have there shows no more: the name in the tar that says so, such as `etc/.wh.motd`. */
  readonly hiddenBy: string | undefined
  /** What the layer itself has there; the last of several. */
  readonly entry: DeedEntry | undefined
}

export interface DeedEntry {
  readonly type: TarEntryType
  /** Permission bits, with setuid, setgid and sticky. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
  /** Bytes. */
  readonly size: number
  readonly mtimeNs: bigint
  /** Of links. */
  readonly linkName: string | undefined
}

/**
 * @param path as in a tar, or absolute
 * @param tell tells the entries of the layer, such as `tellRecipe`
 * @returns `undefined` for a path that means nothing below the root
 */
export async function deedOn(
  path: string,
  tell: (handler: TarHandler) => Promise<void>,
): Promise<PathDeed | undefined> {
  const wanted = cleanName(Buffer.from(path))
  if (wanted === undefined) return undefined
  let hiddenBy: string | undefined
  let entry: DeedEntry | undefined
  const header = (told: TarHeader): void => {
    const at = cleanName(told.name)
    if (at === undefined || !concerns(at, told, wanted)) return
    if (at === wanted) entry = entryOf(told)
    else hiddenBy = shownName(told.name)
  }
  await tell({ header, data: () => undefined })
  return { hiddenBy, entry }
}

/** Whether it is the path itself, or something that hides what is below at it. */
function concerns(at: EntryPath, { type }: TarHeader, wanted: EntryPath): boolean {
  if (at === wanted) return true
  const meaning = meaningOf(at, 'remove')
  switch (meaning.kind) {
    case 'whiteout': {
      const gone = meaning.directory === '' ? meaning.name : `${meaning.directory}/${meaning.name}`
      return wanted === gone || wanted.startsWith(`${gone}/`)
    }
    case 'opaque':
      return meaning.directory === '' || wanted.startsWith(`${meaning.directory}/`)
    case 'entry':
      // A file where a directory was.
      return type !== 'directory' && wanted.startsWith(`${at}/`)
    case 'aufs-link':
    case 'bookkeeping':
      return false
  }
}

function entryOf({ type, mode, uid, gid, realSize, mtimeNs, linkName }: TarHeader): DeedEntry {
  const link = linkName.length === 0 ? undefined : shownName(linkName)
  return { type, mode: mode & 0o7777, uid, gid, size: realSize, mtimeNs, linkName: link }
}
