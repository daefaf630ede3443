import { readFileSync } from 'node:fs'

/** One line of /proc/PID/mountinfo (proc(5)). */
export interface MountEntry {
  readonly id: number
  readonly parentId: number
  readonly major: number
  readonly minor: number
  /** What of the filesystem is mounted. */
  readonly root: string
  /** Where. */
  readonly target: string
  /** The mount's own: `ro`, `nosuid` … */
  readonly options: readonly string[]
  /** `shared:N`, `master:N`, `propagate_from:N`, `unbindable`. */
  readonly propagation: readonly string[]
  readonly type: string
  readonly source: string
  /** The filesystem's: `lowerdir=…` … */
  readonly superOptions: readonly string[]
}

/** Every mount that a process sees, in mount order. */
export function readMountTable(pid: number | 'self' = 'self'): MountEntry[] {
  return parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`, 'utf8'))
}

/** Parses the text of a mountinfo file; lines that are none are left out. */
export function parseMountInfo(text: string): MountEntry[] {
  return text.split('\n').flatMap((line) => parseLine(line) ?? [])
}

function parseLine(line: string): MountEntry | undefined {
  const fields = line.split(' ')
  const separator = fields.indexOf('-', 6)
  const [id, parentId, device, root, target, options] = fields
  const [type, source, superOptions] = fields.slice(separator + 1)
  if (separator === -1 || device === undefined || root === undefined || target === undefined) return undefined
  const [major, minor] = device.split(':')
  return {
    id: Number(id),
    parentId: Number(parentId),
    major: Number(major),
    minor: Number(minor),
    root: unescape(root),
    target: unescape(target),
    options: list(options),
    propagation: fields.slice(6, separator),
    type: unescape(type ?? ''),
    source: unescape(source ?? ''),
    superOptions: list(superOptions),
  }
}

/** A comma within a value is written `\054` by the filesystem, so every other one separates. */
function list(field: string | undefined): string[] {
  return field === undefined || field === '' ? [] : field.split(',').map(unescape)
}

/** The kernel writes space, tab, newline, backslash and `#` as `\ooo`. */
function unescape(field: string): string {
  return field.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}
