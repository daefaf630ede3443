/**
 * Finds where the frames of a zstd stream end.
 *
 * Node's decompressor drops, without an error, whatever follows the end of a frame in the chunk that it was given;
 * a stream of several frames must be handed to it frame by frame.
 *
 * @see https://www.rfc-editor.org/rfc/rfc8878#section-3.1
 */
const magicNumber = 0xfd2fb528
const skippableMagic = 0x184d2a50
const dictionaryIdLengths = [0, 1, 2, 4]
const contentSizeLengths = [0, 2, 4, 8]
const rleBlock = 1

/** What the next bytes are; `unknown` is for the decompressor to complain about. */
type Stage = 'magic' | 'skippable-size' | 'descriptor' | 'block' | 'end' | 'unknown'

const lengths: Readonly<Record<Stage, number>> = {
  magic: 4,
  'skippable-size': 4,
  descriptor: 1,
  block: 3,
  end: 0,
  unknown: 0,
}

export class ZstdFrames {
  #stage: Stage = 'magic'
  /** The number that the current stage reads, little-endian, and how many of its bytes are here. */
  #value = 0
  #have = 0
  /** Bytes to pass over before the stage's own. */
  #skip = 0
  #checksumLength = 0

  /** The chunk in pieces, of which each ends where a frame does or where the chunk does. */
  cut(chunk: Uint8Array): readonly Uint8Array[] {
    const pieces: Uint8Array[] = []
    let from = 0
    for (let at = 0; at < chunk.length && this.#stage !== 'unknown';) {
      if (this.#skip > 0) {
        const passed = Math.min(this.#skip, chunk.length - at)
        this.#skip -= passed
        at += passed
      } else {
        this.#value += (chunk[at] ?? 0) * 2 ** (8 * this.#have)
        this.#have++
        at++
        if (this.#have === lengths[this.#stage]) this.#advance()
      }
      if (this.#stage !== 'end' || this.#skip > 0) continue
      this.#stage = 'magic'
      pieces.push(chunk.subarray(from, at))
      from = at
    }
    if (from < chunk.length) pieces.push(chunk.subarray(from))
    return pieces
  }

  /** The current stage's number is complete. */
  #advance(): void {
    const value = this.#value
    this.#value = 0
    this.#have = 0
    switch (this.#stage) {
      case 'magic':
        if (value === magicNumber) this.#stage = 'descriptor'
        else this.#stage = value - (value % 16) === skippableMagic ? 'skippable-size' : 'unknown'
        return
      case 'skippable-size':
        this.#skip = value
        this.#stage = 'end'
        return
      case 'descriptor':
        this.#describe(value)
        return
      case 'block': {
        const last = (value & 1) === 1
        const size = ((value >> 1) & 3) === rleBlock ? 1 : value >> 3
        this.#skip = last ? size + this.#checksumLength : size
        this.#stage = last ? 'end' : 'block'
        return
      }
      case 'end':
      case 'unknown':
    }
  }

  #describe(descriptor: number): void {
    const singleSegment = (descriptor & 0x20) !== 0
    const contentSize = contentSizeLengths[descriptor >> 6] ?? 0
    this.#skip = dictionaryIdLengths[descriptor & 3] ?? 0
    // A single segment needs no window, but then it states its size.
    this.#skip += singleSegment ? Math.max(contentSize, 1) : contentSize + 1
    this.#checksumLength = (descriptor & 0x04) === 0 ? 0 : 4
    this.#stage = 'block'
  }
}
