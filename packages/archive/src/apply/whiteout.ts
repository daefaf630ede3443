/** How AUFS, and every layer tar after it, writes deletions: as names. */
import type { WhiteoutMode } from './options.ts'
import { baseOf, type EntryPath, parentOf } from './entry-path.ts'

const prefix = '.wh.'
const metaPrefix = '.wh..wh.'
const opaqueName = '.wh..wh..opq'
const linkDirectory = '.wh..wh.plnk'

/** What a name in a layer asks for. */
export type Meaning =
  | { readonly kind: 'entry' }
  /** Nothing of the layers below shows in `directory`. */
  | { readonly kind: 'opaque'; readonly directory: EntryPath }
  /** `name` in `directory` is gone; an empty name or a dot names nothing that could go. */
  | { readonly kind: 'whiteout'; readonly directory: EntryPath; readonly name: string }
  /** Content that hard links will refer to by this name; see `aufsLinkOf`. */
  | { readonly kind: 'aufs-link'; readonly name: string }
  /** AUFS's own bookkeeping. */
  | { readonly kind: 'bookkeeping' }

const entry: Meaning = { kind: 'entry' }
const bookkeeping: Meaning = { kind: 'bookkeeping' }

export function meaningOf(path: EntryPath, mode: WhiteoutMode): Meaning {
  // Most names have no `.wh.` anywhere.
  if (mode === 'keep' || !path.includes(prefix)) return entry
  const base = baseOf(path)
  if (path.startsWith(metaPrefix) && path !== opaqueName) {
    const name = aufsLinkOf(path)
    return name === undefined ? bookkeeping : { kind: 'aufs-link', name }
  }
  if (!base.startsWith(prefix)) return entry
  const directory = parentOf(path)
  if (base === opaqueName) return { kind: 'opaque', directory }
  if (base.startsWith(metaPrefix)) return bookkeeping
  return { kind: 'whiteout', directory, name: base.slice(prefix.length) }
}

/**
 * The name of a pseudo-link. AUFS could not hard-link between its branches; it kept such a file's content in a
 * directory at the root and let hard links in the tar refer to it there.
 */
export function aufsLinkOf(path: EntryPath): string | undefined {
  return path.startsWith(`${linkDirectory}/`) ? baseOf(path) : undefined
}
