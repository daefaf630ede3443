/** What one call has done. */
export interface DecompressorStep {
  /** Bytes of the input that were taken, and of the output that were written. */
  readonly consumed: number
  readonly produced: number
  /** The member, or frame, has ended; what follows in the input is not its. */
  readonly ended: boolean
}

/** A library of the system that decompresses, one member or frame after another. */
export interface Decompressor extends Disposable {
  /** What follows a member and begins with a zero is padding. */
  readonly hasPadding: boolean

  /**
   * Decompresses as much as the output has room for, on a thread of the pool. Neither array may be touched meanwhile.
   *
   * @throws Error for what is damaged
   */
  run(input: Uint8Array, output: Uint8Array): Promise<DecompressorStep>

  /** Begins with the next member or frame. */
  next(): void
}
