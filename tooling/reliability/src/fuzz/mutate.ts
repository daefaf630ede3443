/** Changes bytes as a fuzzer does: little things anywhere, blocks moved, words that mean something, two inputs joined. */
import { below, pick, type Random } from '../random.ts'

const numbers = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff] as const
const longest = 256 * 1024

type Mutator = (bytes: Buffer, random: Random, words: readonly string[], other: Buffer) => Buffer

const mutators: readonly Mutator[] = [
  // A bit.
  (bytes, random) => {
    const at = below(random, bytes.length)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << below(random, 8))
    return bytes
  },
  // A byte.
  (bytes, random) => {
    bytes[below(random, bytes.length)] = below(random, 256)
    return bytes
  },
  // A number, either way round.
  (bytes, random) => {
    const value = pick(random, numbers)
    const size = value > 0xffff ? 4 : value > 0xff ? 2 : 1
    if (bytes.length < size) return bytes
    const at = below(random, bytes.length - size + 1)
    if (random() < 0.5) bytes.writeUIntLE(value, at, size)
    else bytes.writeUIntBE(value, at, size)
    return bytes
  },
  // Something missing.
  (bytes, random) => {
    const at = below(random, bytes.length)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1 + below(random, 64))])
  },
  // Cut short.
  (bytes, random) => bytes.subarray(0, below(random, bytes.length + 1)),
  // A block twice, or in another's place; tars are made of such.
  (bytes, random) => {
    const size = pick(random, [1, 8, 512, 1024])
    const from = below(random, Math.max(1, bytes.length - size))
    const block = Buffer.from(bytes.subarray(from, from + size))
    const at = below(random, bytes.length)
    return random() < 0.5
      ? Buffer.concat([bytes.subarray(0, at), block, bytes.subarray(at)])
      : Buffer.concat([bytes.subarray(0, at), block, bytes.subarray(at + block.length)])
  },
  // A word, over what is there or between.
  (bytes, random, words) => {
    const word = Buffer.from(words.length === 0 ? '-1' : pick(random, words), 'latin1')
    const at = below(random, bytes.length)
    const rest = random() < 0.5 ? at : at + word.length
    return Buffer.concat([bytes.subarray(0, at), word, bytes.subarray(rest)])
  },
  // Digits.
  (bytes, random) => {
    for (
      let at = below(random, bytes.length), left = 1 + below(random, 12);
      left > 0 && at < bytes.length;
      at++, left--
    )
      bytes[at] = 0x30 + below(random, 10)
    return bytes
  },
  // The beginning of one, the end of another.
  (bytes, random, _, other) =>
    Buffer.concat([
      bytes.subarray(0, below(random, bytes.length)),
      other.subarray(below(random, other.length)),
    ]),
]

/** @returns a changed copy */
export function mutate(bytes: Buffer, other: Buffer, words: readonly string[], random: Random): Buffer {
  let changed: Buffer = Buffer.from(bytes)
  for (let left = 1 + below(random, 4); left > 0; left--) {
    if (changed.length === 0) changed = Buffer.from(other)
    if (changed.length === 0) return Buffer.of(below(random, 256))
    changed = pick(random, mutators)(changed, random, words, other)
  }
  return Buffer.from(changed.subarray(0, longest))
}
