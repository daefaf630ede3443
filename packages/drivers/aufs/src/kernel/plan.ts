/**
 * What is said to aufs to have a stack mounted, in how many calls. Everything here is about strings; `engine.ts` makes
 * the calls. The bounds were found by mounting, on aufs 6.1:
 *
 * - Each call takes 84 options, a branch counting as one; a first call with many more branches takes the kernel down.
 *   Eighty branches per call are safe, and the rest is appended by remounts.
 * - mount(2) reads one page, less the NUL, and cuts what is longer without a word: aufs may then mount a stack with
 *   layers missing.
 * - A stack has 127 branches at most, and beyond that an appending call fails when it is done in part.
 *
 * @see https://aufs.sourceforge.net/aufs.html "Mount Options"
 */
import { contextOption, MS } from '@graphdriver/sys'

export interface Branch {
  /** Absolute. */
  readonly path: string
  /** `ro+wh` honours the whiteouts that are in it; plain `ro` would not. */
  readonly mode: 'rw' | 'ro+wh'
}

export interface MountCall {
  readonly flags: number
  readonly data: string
}

export interface PlanLimits {
  readonly pageSize: number
  /** The kernel takes `dirperm1`, by which a directory's mode is the uppermost branch's. */
  readonly dirperm1: boolean
}

/** The most branches that one call may name. */
export const branchesPerCall = 80

/** One file for all mounts: aufs unlinks it at once. It may not be on aufs itself. */
export const translationFile = '/dev/shm/aufs.xino'

/** What parts a branch from its mode, from another branch, and an option from another. */
const separators = /[,:=]/

/** Whether aufs can be told of a path: it knows no way to escape its separators. */
export function canName(place: string): boolean {
  return !separators.test(place)
}

/**
 * The calls, in order, that mount a stack.
 *
 * @param branches the topmost first
 * @returns undefined when a branch does not fit in a page even by itself
 */
export function planMount(
  branches: readonly Branch[],
  { pageSize, dirperm1 }: PlanLimits,
  label?: string,
): readonly MountCall[] | undefined {
  const longest = pageSize - 1
  const context = label === undefined ? '' : `,${contextOption(label)}`
  const options = `,dio,xino=${translationFile}${dirperm1 ? ',dirperm1' : ''}${context}`
  const calls: MountCall[] = []
  let rest = branches
  while (rest.length > 0) {
    const first = calls.length === 0
    const [head, tail] = first ? (['br:', options] as const) : (['', context] as const)
    const words = rest
      .slice(0, branchesPerCall)
      .map(({ path, mode }) => (first ? `${path}=${mode}` : `append:${path}=${mode}`))
    const fitting = countFitting(words, longest - Buffer.byteLength(head) - Buffer.byteLength(tail))
    if (fitting === 0) return undefined
    const data = head + words.slice(0, fitting).join(first ? ':' : ',') + tail
    calls.push({ flags: first ? 0 : MS.REMOUNT, data })
    rest = rest.slice(fitting)
  }
  return calls
}

/** How many words, with a separator after each but the last, fit in so many bytes. */
function countFitting(words: readonly string[], bytes: number): number {
  let left = bytes + 1
  let count = 0
  for (const word of words) {
    left -= Buffer.byteLength(word) + 1
    if (left < 0) break
    count++
  }
  return count
}
