import type { FuzzRequest } from './loop.ts'

/** What a thread that fuzzes is told. */
export interface FuzzWork extends Omit<FuzzRequest, 'onInput' | 'known'> {
  readonly target: string
  readonly known: readonly Uint8Array[]
  /** Where the input is that is read at this moment: its length, how many there were, then its bytes. */
  readonly current: SharedArrayBuffer
}

export const currentHead = 8
