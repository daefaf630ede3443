/**
 * CRC-64 with the ISO 3309 polynomial, as Go's hash/crc64 has it: tar-split's checksum of a file's content.
 *
 * The polynomial is x⁶⁴ + x⁴ + x³ + x + 1, so sparse that no table is needed. The 64 bits of the state, with the
 * next 8 bytes of input added, are a polynomial A, and the next state is A·x⁶⁴ mod P = A·(x⁴ + x³ + x + 1): four
 * shifted copies. What they shift out, at most 4 bits of degree 64 and up, is reduced in the same way once more.
 * Bits are reflected: x⁰ is the top bit, and multiplying by x shifts right.
 * It is done in WebAssembly, which has words of 64 bits: `crc64.wat` is the source.
 */
import { code } from './crc64-code.ts'

/** What is needed of it; the types of Node have it not. */
interface WebAssembly {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: unknown }
}

const { Module, Instance } = (globalThis as unknown as { readonly WebAssembly: WebAssembly }).WebAssembly

let compiled: object | undefined

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer }
  /** Goes on with bytes that are in the memory behind the state. */
  readonly update: (length: number) => void
}

const stateBytes = 8

/** To be used again and again, by `reset`: each has a memory of its own, which takes long to make. */
export class Crc64 {
  readonly #update: Exports['update']
  readonly #state: BigInt64Array
  readonly #bytes: Uint8Array

  constructor() {
    compiled ??= new Module(Buffer.from(code, 'base64'))
    const { memory, update } = new Instance(compiled).exports as Exports
    this.#update = update
    this.#state = new BigInt64Array(memory.buffer, 0, 1)
    this.#bytes = new Uint8Array(memory.buffer, stateBytes)
    this.reset()
  }

  /** Starts anew, for the next file. */
  reset(): void {
    this.#state[0] = -1n
  }

  update(bytes: Uint8Array): void {
    const room = this.#bytes.length
    if (bytes.length <= room) {
      this.#bytes.set(bytes)
      this.#update(bytes.length)
      return
    }
    for (let at = 0; at < bytes.length; at += room) this.update(bytes.subarray(at, at + room))
  }

  /** The checksum in 8 bytes, most significant first. The state is unchanged. */
  digest(): Buffer {
    const sum = Buffer.allocUnsafe(8)
    sum.writeBigInt64BE(~(this.#state[0] ?? 0n), 0)
    return sum
  }
}
