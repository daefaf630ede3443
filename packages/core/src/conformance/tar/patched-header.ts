import { entryBlocks, type RawEntry } from './raw-tar.ts'

/** The blocks of an entry without PAX records, with other bytes at a place in its header and the checksum of those. */
export function patched(entry: RawEntry, at: number, bytes: Buffer): Buffer {
  const blocks = entryBlocks(entry)
  bytes.copy(blocks, at)
  blocks.fill(' ', 148, 156)
  const sum = blocks.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  blocks.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return blocks
}
