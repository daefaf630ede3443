/**
 * Names that AUFS gives a meaning, in bytes: `.wh.NAME` deletes NAME, `.wh..wh..opq` hides what is below in its
 * directory, and whatever else begins with `.wh..wh.` is AUFS's own bookkeeping. Layer tars use the same names.
 *
 * @see https://aufs.sourceforge.net/aufs.html "Whiteout"
 */
export const whiteoutPrefix: Buffer = Buffer.from('.wh.')
export const opaqueMarker: Buffer = Buffer.from('.wh..wh..opq')
const bookkeepingPrefix = Buffer.from('.wh..wh.')

/** A name that would delete another; no layer tar can have it for a file. */
export function isReserved(name: Buffer): boolean {
  return startsWith(name, whiteoutPrefix)
}

/** What a name in a directory of AUFS's format is; `plain` is a file like any other. */
export type AufsName =
  | { readonly kind: 'plain' | 'opaque' | 'bookkeeping' }
  | { readonly kind: 'whiteout'; readonly target: Buffer }

export function aufsName(name: Buffer): AufsName {
  if (!isReserved(name)) return { kind: 'plain' }
  if (name.equals(opaqueMarker)) return { kind: 'opaque' }
  if (startsWith(name, bookkeepingPrefix)) return { kind: 'bookkeeping' }
  const target = name.subarray(whiteoutPrefix.length)
  // `.wh.` alone, and `.wh..`, name nothing that could be gone.
  return isName(target) ? { kind: 'whiteout', target } : { kind: 'bookkeeping' }
}

/** The name of the file that deletes `name`. */
export function whiteoutName(name: Buffer): Buffer {
  return Buffer.concat([whiteoutPrefix, name])
}

function startsWith(name: Buffer, prefix: Buffer): boolean {
  return name.subarray(0, prefix.length).equals(prefix)
}

function isName(name: Buffer): boolean {
  return name.length > 0 && !/^\.{1,2}$/.test(name.toString('latin1'))
}
