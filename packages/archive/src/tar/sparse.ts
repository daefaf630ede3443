/**
 * The four ways in which GNU tar has recorded sparse files: the old `S` typeflag with descriptors in header blocks,
 * and three generations of PAX records, the last of which keeps its map at the start of the payload.
 *
 * @see https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html
 */
import { numeric } from './block.ts'
import { blockSize, type HeaderDraft, type SparseExtent, type PaxRecord } from './header.ts'
import { invalidArchive } from './limits.ts'
import { decimal } from './pax.ts'

const descriptorLength = 24

/** Adds the descriptors at `at` until the first unused one. */
export function readDescriptors(
  block: Buffer,
  at: number,
  count: number,
  extents: SparseExtent[],
  draft: HeaderDraft,
): void {
  for (let i = 0; i < count; i++) {
    const start = at + i * descriptorLength
    if (block[start] === 0 || block[start + 12] === 0) return
    const offset = numeric(block, start, 12)
    const length = numeric(block, start + 12, 12)
    if (offset === undefined || length === undefined) throw malformed(draft)
    extents.push({ offset, length })
  }
}

/** Old GNU: four descriptors in the header itself, then a flag that extension blocks follow, then the real size. */
export function readOldGnu(block: Buffer, at: number, draft: HeaderDraft, extents: SparseExtent[]): boolean {
  readDescriptors(block, at + 386, 4, extents, draft)
  const realSize = numeric(block, at + 483, 12)
  if (realSize === undefined) throw malformed(draft)
  draft.realSize = realSize
  return block[at + 482] !== 0
}

/** An extension block: 21 descriptors and the flag that another follows. */
export function readOldGnuExtension(
  block: Buffer,
  at: number,
  draft: HeaderDraft,
  extents: SparseExtent[],
): boolean {
  readDescriptors(block, at, 21, extents, draft)
  return block[at + 504] !== 0
}

/** What PAX records say of sparseness: nothing, a whole map, or that the payload begins with it. */
export type PaxSparse = 'none' | 'in-payload' | readonly SparseExtent[]

/** Reads GNU.sparse.* records; sets the name and the real size that they carry. */
export function readPaxSparse(records: readonly PaxRecord[], draft: HeaderDraft): PaxSparse {
  let version = ''
  let found = false
  const numbers: (number | undefined)[] = []
  for (const { key, value } of records) {
    if (!key.startsWith('GNU.sparse.')) continue
    found = true
    switch (key) {
      case 'GNU.sparse.major':
      case 'GNU.sparse.minor':
        version += `.${value.toString('latin1')}`
        break
      case 'GNU.sparse.name':
        if (value.length > 0) draft.name = value
        break
      case 'GNU.sparse.size':
      case 'GNU.sparse.realsize':
        draft.realSize = decimal(value) ?? malformedNow(draft)
        break
      case 'GNU.sparse.offset':
      case 'GNU.sparse.numbytes':
        numbers.push(decimal(value))
        break
      case 'GNU.sparse.map':
        if (value.length > 0)
          numbers.push(
            ...value
              .toString('latin1')
              .split(',')
              .map((text) => decimal(Buffer.from(text))),
          )
        break
      default:
        break
    }
  }
  if (!found) return 'none'
  if (version === '.1.0') return 'in-payload'
  if (version !== '' && version !== '.0.0' && version !== '.0.1') {
    throw invalidArchive(`sparse format ${version.slice(1)} is not known`, draft.offset, draft.name)
  }
  return pairs(numbers, draft)
}

function pairs(numbers: readonly (number | undefined)[], draft: HeaderDraft): readonly SparseExtent[] {
  const extents: SparseExtent[] = []
  for (let i = 0; i < numbers.length; i += 2) {
    const offset = numbers[i]
    const length = numbers[i + 1]
    if (offset === undefined || length === undefined) throw malformed(draft)
    extents.push({ offset, length })
  }
  return extents
}

const newline = 0x0a

/**
 * The map at the start of a version 1.0 payload: the number of extents, then each one's offset and length, every
 * number on a line of its own, padded to a whole block.
 */
export class PayloadMap {
  readonly #draft: HeaderDraft
  readonly #numbers: number[] = []
  #wanted = 1
  #current = -1

  constructor(draft: HeaderDraft) {
    this.#draft = draft
  }

  /** Takes one block. @returns the extents when this block was the last of the map */
  add(block: Buffer, at: number): readonly SparseExtent[] | undefined {
    for (let i = at; i < at + blockSize; i++) {
      const byte = block[i] ?? 0
      if (byte === newline) {
        if (this.#endNumber()) return pairs(this.#numbers.slice(1), this.#draft)
      } else if (byte >= 0x30 && byte <= 0x39) {
        this.#current = Math.max(this.#current, 0) * 10 + (byte - 0x30)
      } else throw malformed(this.#draft)
    }
    return undefined
  }

  #endNumber(): boolean {
    if (!Number.isSafeInteger(this.#current) || this.#current < 0) throw malformed(this.#draft)
    if (this.#numbers.length === 0) this.#wanted += 2 * this.#current
    this.#numbers.push(this.#current)
    this.#current = -1
    return this.#numbers.length === this.#wanted
  }
}

/** Refuses a map that does not describe exactly the payload, in order, inside the file. */
export function settleSparse(draft: HeaderDraft, extents: readonly SparseExtent[]): void {
  let end = 0
  let total = 0
  for (const { offset, length } of extents) {
    if (offset < end || length < 0 || offset + length > draft.realSize) throw malformed(draft)
    end = offset + length
    total += length
  }
  if (total !== draft.size) throw malformed(draft)
  draft.sparse = extents
}

function malformed(draft: HeaderDraft): Error {
  return invalidArchive('sparse map is malformed', draft.offset, draft.name)
}

function malformedNow(draft: HeaderDraft): never {
  throw malformed(draft)
}
