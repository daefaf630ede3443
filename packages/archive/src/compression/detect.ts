/** Told by magic number: what a manifest or a file name says of it is not to be trusted. */
export type Compression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz'

/** Bytes by which `detectCompression` can tell all that it knows. */
export const magicLength = 6

const magics: readonly (readonly [Compression, readonly number[]])[] = [
  ['gzip', [0x1f, 0x8b, 0x08]],
  ['zstd', [0x28, 0xb5, 0x2f, 0xfd]],
  ['bzip2', [0x42, 0x5a, 0x68]],
  ['xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
]

/** The compression of what begins with `head`; its first six bytes decide. */
export function detectCompression(head: Uint8Array): Compression {
  for (const [compression, magic] of magics) {
    if (magic.every((byte, index) => head[index] === byte)) return compression
  }
  return isSkippableFrame(head) ? 'zstd' : 'none'
}

/** zstd allows frames of somebody else's data, 0x184D2A50 to 0x184D2A5F, before the first of its own. */
function isSkippableFrame(head: Uint8Array): boolean {
  const [first = 0, second, third, fourth] = head
  return (first & 0xf0) === 0x50 && second === 0x2a && third === 0x4d && fourth === 0x18
}
