/**
 * How a stack is said to the kernel. mount(2) takes one string of at most a page, in which `,` and `:` separate; the
 * newer mount API takes one option at a time, each shorter than 256 bytes, and lower directories one by one
 * (`lowerdir+`, Linux 6.7). Everything here is about strings; `stack.ts` makes the calls.
 */
import path from 'node:path'
import { contextOption } from '../mount.ts'

/** One option of the filesystem: a flag, or a key and its value. */
export type MountOption = string | readonly [key: string, value: string]

/** What is to be stacked. All paths are relative to the driver's home. */
export interface Stack {
  /** Nearest first. */
  readonly lower: readonly string[]
  /** What takes the writes; absent for a mount that is only read. */
  readonly upper?: { readonly diff: string; readonly work: string } | undefined
  /** Options of every mount on this host, such as `userxattr`. */
  readonly options: readonly MountOption[]
  /** SELinux context. */
  readonly label?: string | undefined
}

/** What the host sets bounds with. */
export interface MountLimits {
  readonly pageSize: number
  /** The kernel takes `lowerdir+`. */
  readonly appendsLower: boolean
}

/** The ways to mount, in the order of preference. */
export type MountWay =
  /** mount(2) with this string. */
  | { readonly by: 'mount'; readonly data: string }
  /** The mount API, option by option. */
  | { readonly by: 'options' }
  /** mount(8), started in the home, with this string of relative paths. */
  | { readonly by: 'command'; readonly data: string }
  | { readonly by: 'nothing' }

/** The most lower directories the kernel stacks (OVL_MAX_STACK of fs/overlayfs). */
export const maximumLower = 500
/** Docker's bound, which relative paths in one page are sure to meet. */
const maximumLowerInPage = 127

/** How many layers fit in one mount, the topmost included. It has to be a lower one too, once it has a child. */
export function maximumDepth(limits: MountLimits): number {
  return limits.appendsLower ? maximumLower : maximumLowerInPage + 1
}

export function chooseWay(home: string, stack: Stack, limits: MountLimits): MountWay {
  if (stack.lower.length > maximumLower) return { by: 'nothing' }
  const longest = limits.pageSize - 1
  if (!/[,:\\]/.test(home)) {
    const data = mountData(stack, home)
    if (Buffer.byteLength(data) <= longest) return { by: 'mount', data }
  }
  if (limits.appendsLower) return { by: 'options' }
  const relative = mountData(stack)
  return Buffer.byteLength(relative) <= longest ? { by: 'command', data: relative } : { by: 'nothing' }
}

/** The string for mount(2), of paths in `home` or, without it, relative ones. */
export function mountData(stack: Stack, home = ''): string {
  const at = (relative: string): string => path.join(home, relative)
  const options = stack.options.map((option) => (typeof option === 'string' ? option : option.join('=')))
  options.push(`lowerdir=${stack.lower.map(at).join(':')}`)
  if (stack.upper !== undefined) {
    options.push(`upperdir=${at(stack.upper.diff)}`, `workdir=${at(stack.upper.work)}`)
  }
  if (stack.label !== undefined) options.push(contextOption(stack.label))
  return options.join(',')
}

/** The same, option by option; `place` makes a path short and free of separators. */
export function mountOptions(stack: Stack, place: (relative: string) => string): readonly MountOption[] {
  const options: MountOption[] = [['source', 'overlay'], ...stack.options]
  for (const lower of stack.lower) options.push(['lowerdir+', place(lower)])
  if (stack.upper !== undefined) {
    options.push(['upperdir', place(stack.upper.diff)], ['workdir', place(stack.upper.work)])
  }
  if (stack.label !== undefined) options.push(['context', stack.label])
  return options
}

const longestValue = 255

/** Whether a path can be the value of an option: short enough, and nothing in it that `upperdir` would unescape. */
export function fitsOption(place: string): boolean {
  return Buffer.byteLength(place) <= longestValue && !place.includes('\\')
}
