/**
 * CRC-64 with the ISO 3309 polynomial, as Go's hash/crc64 has it: tar-split's checksum of a file's content.
 *
 * The polynomial is x⁶⁴ + x⁴ + x³ + x + 1, so sparse that no table is needed. The 64 bits of the state, with the
 * next 8 bytes of input added, are a polynomial A, and the next state is A·x⁶⁴ mod P = A·(x⁴ + x³ + x + 1): four
 * shifted copies. What they shift out, at most 4 bits of degree 64 and up, is reduced in the same way once more.
 * Bits are reflected: x⁰ is the top bit, and multiplying by x shifts right. Two 32-bit halves make the 64 bits.
 */

/** Shorter pieces are not worth a view of words. */
const leastWords = 64

export class Crc64 {
  #high = -1
  #low = -1

  /** Starts anew, for the next file. */
  reset(): void {
    this.#high = -1
    this.#low = -1
  }

  update(bytes: Uint8Array): void {
    if (bytes.length < leastWords) {
      this.#bytes(bytes, 0, bytes.length)
      return
    }
    const head = (4 - (bytes.byteOffset % 4)) % 4
    const pairs = Math.floor((bytes.length - head) / 8)
    this.#bytes(bytes, 0, head)
    this.#pairs(new Int32Array(bytes.buffer, bytes.byteOffset + head, pairs * 2))
    this.#bytes(bytes, head + pairs * 8, bytes.length)
  }

  /** The checksum in 8 bytes, most significant first. The state is unchanged. */
  digest(): Buffer {
    const sum = Buffer.allocUnsafe(8)
    sum.writeInt32BE(~this.#high, 0)
    sum.writeInt32BE(~this.#low, 4)
    return sum
  }

  /** `words` in pairs, each little-endian, as all machines are that Node and this project run on. */
  #pairs(words: Int32Array): void {
    let high = this.#high
    let low = this.#low
    for (let i = 0; i < words.length; i += 2) {
      const a = low ^ (words[i] ?? 0)
      const b = high ^ (words[i + 1] ?? 0)
      const out = (a << 28) ^ (a << 29) ^ (a << 31)
      const top = b ^ out
      // Shifting `out` with the high half reduces it in the same step.
      high = top ^ (top >>> 1) ^ (top >>> 3) ^ (top >>> 4)
      low = a ^ ((a >>> 1) | (b << 31)) ^ ((a >>> 3) | (b << 29)) ^ ((a >>> 4) | (b << 28))
    }
    this.#high = high
    this.#low = low
  }

  #bytes(bytes: Uint8Array, from: number, to: number): void {
    let high = this.#high
    let low = this.#low
    for (let i = from; i < to; i++) {
      const top = (low ^ (bytes[i] ?? 0)) << 24
      low = (low >>> 8) | (high << 24)
      high = (high >>> 8) ^ top ^ (top >>> 1) ^ (top >>> 3) ^ (top >>> 4)
    }
    this.#high = high
    this.#low = low
  }
}
