/**
 * Bytes between the main thread and a worker, through memory that both see.
 *
 * One side writes, the other reads; either may be the worker. The worker blocks (`Atomics.wait`), the main thread
 * never does (`Atomics.waitAsync`). Positions are counted modulo 2³² and the capacity is a power of two, so that
 * `written - read` is always the number of bytes inside.
 *
 * A waiting side sleeps on a counter that the other side increments with every event of its own. It reads the
 * counter before it looks at the state, so an event between the look and the sleep is never missed.
 */

/** What the two threads share; it crosses by `postMessage` without being copied. */
export interface SharedRing {
  readonly control: SharedArrayBuffer
  readonly bytes: SharedArrayBuffer
}

const slot = {
  written: 0,
  read: 1,
  ended: 2,
  left: 3,
  aborted: 4,
  writerEvents: 5,
  readerEvents: 6,
  wanted: 7,
  joined: 8,
} as const
const slots = 9

export const ringCapacity: number = 4 * 1024 * 1024

export function createRing(capacity: number = ringCapacity): SharedRing {
  return {
    control: new SharedArrayBuffer(slots * Int32Array.BYTES_PER_ELEMENT),
    bytes: new SharedArrayBuffer(capacity),
  }
}

/** Makes a ring as new. Only while neither side uses it. */
export function resetRing(ring: SharedRing): void {
  new Int32Array(ring.control).fill(0)
}

/** Thrown on the worker's side out of whatever it was doing, when the main thread no longer wants the result. */
export class RingAborted extends Error {
  override readonly name = 'RingAborted'
}

/** What both ends of a ring have in common. */
class RingEnd {
  protected readonly control: Int32Array<SharedArrayBuffer>
  protected readonly bytes: Uint8Array<SharedArrayBuffer>

  constructor(ring: SharedRing) {
    this.control = new Int32Array(ring.control)
    this.bytes = new Uint8Array(ring.bytes)
  }

  /** Tells the worker to stop, and wakes whoever sleeps. */
  abort(): void {
    Atomics.store(this.control, slot.aborted, 1)
    this.announce(slot.writerEvents)
    this.announce(slot.readerEvents)
  }

  get aborted(): boolean {
    return Atomics.load(this.control, slot.aborted) !== 0
  }

  /** @throws RingAborted */
  check(): void {
    if (this.aborted) throw new RingAborted('the main thread wants no more of this')
  }

  protected get filled(): number {
    return (Atomics.load(this.control, slot.written) - Atomics.load(this.control, slot.read)) >>> 0
  }

  protected announce(events: number): void {
    Atomics.add(this.control, events, 1)
    Atomics.notify(this.control, events)
  }

  protected set(flag: number): void {
    Atomics.store(this.control, flag, 1)
  }

  protected is(flag: number): boolean {
    return Atomics.load(this.control, flag) !== 0
  }

  protected sleep(events: number, seen: number): void {
    Atomics.wait(this.control, events, seen)
  }

  protected async doze(events: number, seen: number): Promise<void> {
    const wait = Atomics.waitAsync(this.control, events, seen)
    if (wait.async) await wait.value
  }
}

/** The side that puts bytes in. */
export class RingWriter extends RingEnd {
  /** Copies all of `chunk` in, waiting for room without blocking. @returns false when the reader has left */
  async write(chunk: Uint8Array): Promise<boolean> {
    let rest = chunk
    for (;;) {
      const seen = Atomics.load(this.control, slot.readerEvents)
      if (this.is(slot.left) || this.aborted) return false
      rest = this.#put(rest)
      if (rest.length === 0) return true
      await this.doze(slot.readerEvents, seen)
    }
  }

  /** Copies all of `chunk` in, blocking the thread while there is no room. @throws RingAborted */
  writeSync(chunk: Uint8Array): void {
    let rest = chunk
    for (;;) {
      const seen = Atomics.load(this.control, slot.readerEvents)
      this.check()
      if (this.is(slot.left)) throw new RingAborted('the reader has left')
      rest = this.#put(rest)
      if (rest.length === 0) return
      this.sleep(slot.readerEvents, seen)
    }
  }

  /** Asks for somebody to read. */
  want(): void {
    this.set(slot.wanted)
  }

  /** Whether somebody reads, or has read. */
  get joined(): boolean {
    return this.is(slot.joined)
  }

  /** Bytes that have not been taken. */
  get waiting(): number {
    return this.filled
  }

  /** Blocks the thread until all is taken. @throws RingAborted, also when the reader has left before */
  drainedSync(): void {
    for (;;) {
      const seen = Atomics.load(this.control, slot.readerEvents)
      if (this.filled === 0) return
      this.check()
      if (this.is(slot.left)) throw new RingAborted('the reader has left')
      this.sleep(slot.readerEvents, seen)
    }
  }

  /** Blocks the thread until the reader, who has joined, has left. */
  leftSync(): void {
    for (;;) {
      const seen = Atomics.load(this.control, slot.readerEvents)
      if (this.is(slot.left)) return
      this.sleep(slot.readerEvents, seen)
    }
  }

  /** Says that nothing more will come. */
  end(): void {
    this.set(slot.ended)
    this.announce(slot.writerEvents)
  }

  /** @returns what did not fit */
  #put(chunk: Uint8Array): Uint8Array {
    const capacity = this.bytes.length
    const length = Math.min(chunk.length, capacity - this.filled)
    if (length === 0) return chunk
    const position = (Atomics.load(this.control, slot.written) >>> 0) & (capacity - 1)
    const first = Math.min(length, capacity - position)
    this.bytes.set(chunk.subarray(0, first), position)
    if (first < length) this.bytes.set(chunk.subarray(first, length), 0)
    Atomics.add(this.control, slot.written, length)
    this.announce(slot.writerEvents)
    return chunk.subarray(length)
  }
}

/** The most that is handed on at once: enough to be worth a wake-up, little enough that the writer can go on. */
const portion = 1024 * 1024

/** The side that takes bytes out. */
export class RingReader extends RingEnd {
  /** A copy of the next bytes; `undefined` at the end, or when the ring was aborted. */
  async read(): Promise<Buffer | undefined> {
    for (;;) {
      const seen = Atomics.load(this.control, slot.writerEvents)
      if (this.aborted) return undefined
      // Asked before looking for bytes: what is written before the end is seen to be written.
      const ended = this.is(slot.ended)
      const view = this.#next(portion)
      if (view !== undefined) {
        const copy = Buffer.allocUnsafeSlow(view.length)
        copy.set(view)
        this.#consume(view.length)
        return copy
      }
      if (ended) return undefined
      await this.doze(slot.writerEvents, seen)
    }
  }

  /**
   * Hands the bytes to `take` where they lie, portion by portion, until the end. The view is valid only inside of
   * `take`.
   *
   * @param most bytes of a portion
   * @throws RingAborted
   */
  drainSync(take: (view: Uint8Array) => void, most: number = portion): void {
    for (;;) {
      const seen = Atomics.load(this.control, slot.writerEvents)
      this.check()
      const ended = this.is(slot.ended)
      const view = this.#next(most)
      if (view !== undefined) {
        take(view)
        this.#consume(view.length)
      } else if (ended) return
      else this.sleep(slot.writerEvents, seen)
    }
  }

  /** Whether the other side asks for somebody to read. */
  get wanted(): boolean {
    return this.is(slot.wanted)
  }

  join(): void {
    this.set(slot.joined)
  }

  /** Says that nothing more will be taken. */
  leave(): void {
    this.set(slot.left)
    this.announce(slot.readerEvents)
  }

  #next(most: number): Uint8Array | undefined {
    const length = Math.min(this.filled, most)
    if (length === 0) return undefined
    const position = (Atomics.load(this.control, slot.read) >>> 0) & (this.bytes.length - 1)
    return this.bytes.subarray(position, position + Math.min(length, this.bytes.length - position))
  }

  #consume(length: number): void {
    Atomics.add(this.control, slot.read, length)
    this.announce(slot.readerEvents)
  }
}
