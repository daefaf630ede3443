import { field } from './block.ts'
import { type HeaderDraft, paddingOf, type PaxRecord, typeflag } from './header.ts'
import { invalidArchive } from './limits.ts'
import { applyPax, parsePax } from './pax.ts'
import { type PaxSparse, readPaxSparse } from './sparse.ts'

/** Whether a header is about the next entry, or all, and not an entry itself. */
export function isExtension(flag: number): boolean {
  return (
    flag === typeflag.pax ||
    flag === typeflag.paxGlobal ||
    flag === typeflag.gnuLongName ||
    flag === typeflag.gnuLongLink
  )
}

const none: readonly PaxRecord[] = []

/** What the extension headers before an entry say of it: PAX records, GNU long names. */
export class Extensions {
  readonly #maxBytes: number
  /** Where the first of them is; -1 when there is none. */
  #start = -1
  #content: Buffer = Buffer.alloc(0)
  #flag = 0
  /** Bytes of the current one that are still to come, padding included. */
  #left = 0
  #pax = none
  #longName: Buffer | undefined
  #longLink: Buffer | undefined

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** An extension header stands before an entry that is yet to come. */
  get pending(): boolean {
    return this.#start !== -1
  }

  /** Where an entry with a header block at `offset` begins. */
  startOf(offset: number): number {
    return this.#start === -1 ? offset : this.#start
  }

  /** @returns whether content follows, to be passed to `collect` */
  begin(draft: HeaderDraft): boolean {
    this.#start = draft.offset
    if (draft.size < 0 || draft.size > this.#maxBytes) {
      const reason = `extension header of ${draft.size} bytes exceeds ${this.#maxBytes}`
      throw invalidArchive(reason, draft.offset, draft.name)
    }
    this.#content = Buffer.allocUnsafe(draft.size)
    this.#flag = draft.typeflag
    this.#left = draft.size + paddingOf(draft.size)
    if (this.#left > 0) return true
    this.#end()
    return false
  }

  /** Takes what belongs to it from `at` on. @returns how many bytes that was */
  collect(bytes: Buffer, at: number): number {
    const size = this.#content.length
    const taken = Math.min(this.#left, bytes.length - at)
    const filled = size + paddingOf(size) - this.#left
    // Nothing is copied once `filled` is past the end, which is padding.
    bytes.copy(this.#content, filled, at, at + taken)
    this.#left -= taken
    if (this.#left === 0) this.#end()
    return taken
  }

  get complete(): boolean {
    return this.#left === 0
  }

  /** Applies all that is pending to the entry, and forgets it. GNU's names win over PAX', as in Go. */
  resolve(draft: HeaderDraft): PaxSparse {
    let sparse: PaxSparse = 'none'
    if (this.#start === -1) return sparse
    if (this.#pax.length > 0) {
      draft.pax = this.#pax
      applyPax(draft, this.#pax)
      if (draft.type === 'file') sparse = readPaxSparse(this.#pax, draft)
    }
    if (this.#longName !== undefined) draft.name = this.#longName
    if (this.#longLink !== undefined) draft.linkName = this.#longLink
    this.#start = -1
    this.#pax = none
    this.#longName = undefined
    this.#longLink = undefined
    return sparse
  }

  #end(): void {
    const content = this.#content
    switch (this.#flag) {
      case typeflag.pax:
        this.#pax = parsePax(content, this.#start)
        return
      case typeflag.gnuLongName:
        this.#longName = field(content, 0, content.length)
        return
      case typeflag.gnuLongLink:
        this.#longLink = field(content, 0, content.length)
        return
      default:
        // Records for all entries to come: parsed so that a broken one is found, then ignored, as Docker does.
        parsePax(content, this.#start)
        if (this.#pax === none && this.#longName === undefined && this.#longLink === undefined)
          this.#start = -1
    }
  }
}
