/**
 * What a file that is no image may be, told to whoever brought it. Magic numbers at the start, but for tar's, which
 * is in its first header.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6713 and file(1)
 */

const magics: readonly (readonly [magic: string, name: string])[] = [
  ['504b0304', 'a zip archive'],
  ['377abcaf271c', 'a 7z archive'],
  ['68737173', 'a squashfs image'],
  ['7f454c46', 'an ELF program'],
  ['514649fb', 'a qcow2 disk image'],
  ['53514c69746520666f726d6174', 'an SQLite database'],
  ['213c617263683e', 'an ar archive or Debian package'],
  ['303730373031', 'a cpio archive'],
  ['25504446', 'a PDF document'],
]

/** A few words for what begins so. */
export function describeContent(head: Uint8Array): string {
  if (head.length === 0) return 'an empty file'
  const hex = Buffer.from(head.subarray(0, 16)).toString('hex')
  const known = magics.find(([magic]) => hex.startsWith(magic))
  if (known !== undefined) return known[1]
  if (head.every((byte) => byte === 0)) return 'all zeros'
  const text = textOf(head)
  if (text === undefined) return 'data in a format not known here'
  return /^\s*[[{]/.test(text) ? 'a JSON document' : 'a text file'
}

/** UTF-8 without control characters but white space; the last character may be cut. */
function textOf(head: Uint8Array): string | undefined {
  if (!head.every((byte) => byte >= 0x20 || (byte >= 0x09 && byte <= 0x0d))) return undefined
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true })
  } catch {
    return undefined
  }
}

const checksumStart = 148
const checksumLength = 8

/** True for the first block of a tar: its checksum is right. */
export function looksLikeTar(head: Uint8Array): boolean {
  const block = head.subarray(0, 512)
  if (block.length < 512) return false
  const written = Buffer.from(block.subarray(checksumStart, checksumStart + checksumLength)).toString(
    'latin1',
  )
  const digits = /^[ \0]*([0-7]+)[ \0]*$/.exec(written)?.[1]
  const sum = block.reduce((total, byte, at) => {
    const inField = at >= checksumStart && at < checksumStart + checksumLength
    return total + (inField ? 0x20 : byte)
  }, 0)
  return digits !== undefined && Number.parseInt(digits, 8) === sum
}
