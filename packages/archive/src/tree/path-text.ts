/**
 * Paths as strings without loss. What is UTF-8 is itself; a byte that is not becomes a lone low surrogate, U+DC80 to
 * U+DCFF, which no valid text contains. (Python calls it "surrogateescape".) Such a string survives structured clone
 * and JSON; written as UTF-8, to a terminal or a file, it shows the replacement character and is lost.
 */
import { isUtf8 } from 'node:buffer'

const escapes = 0xdc00

export function pathText(bytes: Buffer): string {
  if (isUtf8(bytes)) return bytes.toString()
  let text = ''
  for (let at = 0; at < bytes.length;) {
    const length = sequenceLength(bytes, at)
    text +=
      length === 0 ? String.fromCharCode(escapes + (bytes[at] ?? 0)) : bytes.toString('utf8', at, at + length)
    at += Math.max(length, 1)
  }
  return text
}

/** Of the one character at `at`; 0 where there is none. */
function sequenceLength(bytes: Buffer, at: number): number {
  for (let length = 1; length <= 4 && at + length <= bytes.length; length++) {
    if (isUtf8(bytes.subarray(at, at + length))) return length
  }
  return 0
}

/** @returns `undefined` for a text that no path became */
export function pathBytes(text: string): Buffer | undefined {
  if (text.includes('\ufffd')) return undefined
  if (text.isWellFormed()) return Buffer.from(text)
  const parts: Buffer[] = []
  for (const character of text) {
    if (character.isWellFormed()) {
      parts.push(Buffer.from(character))
      continue
    }
    const byte = character.charCodeAt(0) - escapes
    if (byte < 0x80 || byte > 0xff) return undefined
    parts.push(Buffer.from([byte]))
  }
  return Buffer.concat(parts)
}
