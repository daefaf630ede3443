/** Bounds on what comes from files of images, whoever made them. */
import type { LayerStoreOptions } from '@graphdriver/layer-store'
import { UsageError } from './failure.ts'

/** The words of the command line. */
export interface Limits {
  /** Of one layer's tar. */
  readonly entries?: number
  readonly depth?: number
  readonly bytes?: number
  /** Bytes out of one, of what is compressed. */
  readonly expansion?: number
}

export const defaultLimits: Limits = { entries: 10_000_000, depth: 1024, expansion: 10_000 }

const words: readonly string[] = ['entries', 'depth', 'bytes', 'expansion'] satisfies (keyof Limits)[]

/** `word=number`, added to those before. @throws UsageError */
export function appendLimit(text: string, before: Limits = {}): Limits {
  const [word = '', number = ''] = text.split('=', 2)
  if (!words.includes(word) || !/^[1-9]\d{0,14}$/.test(number))
    throw new UsageError(`'${text}' is no limit; one is ${words.join(', ')}, = and a whole number above 0`)
  return { ...before, [word]: Number(number) }
}

export function archiveLimits({ entries, depth, bytes }: Limits): LayerStoreOptions['limits'] {
  return {
    ...(entries === undefined ? {} : { maxEntries: entries }),
    ...(depth === undefined ? {} : { maxDepth: depth }),
    ...(bytes === undefined ? {} : { maxBytes: bytes }),
  }
}
