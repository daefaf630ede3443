/**
 * Intel's Intelligent Storage Acceleration Library, which inflates about twice as fast as zlib. Distributions have it as
 * libisal.so.2 (packages `libisal2`, `isa-l`); where it is not installed nothing is lost but time.
 *
 * Its state is a struct of the caller's (`struct inflate_state` of isa-l/igzip_lib.h, the same since 2.16), of which a few
 * fields are read and written here. That they lie where they are taken to lie is tried once, on a small stream.
 */
import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import type { Decompressor, DecompressorStep } from './decompressor.ts'

/** Bytes of the state, with room to spare: 87 368 in 2.30. */
const stateBytes = 128 * 1024
/** Offsets into the state. */
const field = {
  nextOut: 0,
  availOut: 8,
  nextIn: 16,
  availIn: 32,
  blockState: 21_160,
  crcFlag: 21_172,
} as const
/** `ISAL_BLOCK_FINISH`: all of a member has been put out, and its checksum was right. */
const finished = 5
/** `ISAL_GZIP`: header and trailer are read and verified. */
const gzip = 1

const complaints: ReadonlyMap<number, string> = new Map([
  [-1, 'invalid block'],
  [-2, 'invalid symbol'],
  [-3, 'invalid distance'],
  [-4, 'incorrect header'],
  [-5, 'unknown compression method'],
  [-6, 'incorrect checksum'],
])

interface Isal {
  readonly initialise: (state: Buffer) => void
  readonly reset: (state: Buffer) => void
  readonly inflate: (state: Buffer) => number
  readonly inflateAside: (state: Buffer) => Promise<number>
  readonly addressOf: (bytes: Uint8Array) => bigint | number
}

/** `null` when it has been looked for in vain. */
let library: Isal | null | undefined

/** Inflates one gzip member after another. */
export class FastInflate implements Decompressor {
  readonly hasPadding = true
  readonly #isal: Isal
  readonly #state = Buffer.alloc(stateBytes)
  /** What the library's thread has addresses of. */
  #lent: readonly Uint8Array[] = []

  private constructor(isal: Isal) {
    this.#isal = isal
    isal.initialise(this.#state)
    this.#state.writeUInt32LE(gzip, field.crcFlag)
  }

  /** @returns undefined where the library is not installed */
  static create(): FastInflate | undefined {
    library ??= load()
    return library === null ? undefined : new FastInflate(library)
  }

  async run(input: Uint8Array, output: Uint8Array): Promise<DecompressorStep> {
    this.#lend(input, output)
    try {
      return this.#outcome(await this.#isal.inflateAside(this.#state))
    } finally {
      this.#lent = []
    }
  }

  /** `run` while the caller waits. */
  runSync(input: Uint8Array, output: Uint8Array): DecompressorStep {
    this.#lend(input, output)
    return this.#outcome(this.#isal.inflate(this.#state))
  }

  next(): void {
    this.#isal.reset(this.#state)
    this.#state.writeUInt32LE(gzip, field.crcFlag)
  }

  /** Its memory is the engine's. */
  [Symbol.dispose](): void {}

  #lend(input: Uint8Array, output: Uint8Array): void {
    const state = this.#state
    this.#lent = [input, output]
    state.writeBigUInt64LE(BigInt(this.#isal.addressOf(input)), field.nextIn)
    state.writeUInt32LE(input.length, field.availIn)
    state.writeBigUInt64LE(BigInt(this.#isal.addressOf(output)), field.nextOut)
    state.writeUInt32LE(output.length, field.availOut)
  }

  #outcome(code: number): DecompressorStep {
    if (code < 0) throw new Error(complaints.get(code) ?? `error ${code} of isal_inflate`)
    const [input, output] = this.#lent
    return {
      consumed: (input?.length ?? 0) - this.#state.readUInt32LE(field.availIn),
      produced: (output?.length ?? 0) - this.#state.readUInt32LE(field.availOut),
      ended: this.#state.readUInt32LE(field.blockState) === finished,
    }
  }
}

function load(): Isal | null {
  if (process.platform !== 'linux') return null
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
    const isal = koffi.load('libisal.so.2')
    const inflate = isal.func('int isal_inflate(void *state)')
    const found: Isal = {
      initialise: isal.func('void isal_inflate_init(void *state)'),
      reset: isal.func('void isal_inflate_reset(void *state)'),
      inflate,
      inflateAside: promisify(inflate.async) as (state: Buffer) => Promise<number>,
      addressOf: (bytes) => koffi.address(bytes),
    }
    library = found
    return works() ? found : null
  } catch {
    return null
  }
}

/** `hello, hello` as gzip. */
const sample = Buffer.from('H4sIAAAAAAACA8tIzcnJ11HIAFEA/8XM8wwAAAA=', 'base64')

function works(): boolean {
  const output = Buffer.alloc(32)
  const { consumed, produced, ended } = FastInflate.create()?.runSync(sample, output) ?? {}
  return (
    ended === true && consumed === sample.length && output.toString('utf8', 0, produced) === 'hello, hello'
  )
}
