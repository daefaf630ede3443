import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'

const table = '/proc/self/mountinfo'

/** The kernel writes space, tab, newline and backslash as octal in mountinfo. */
function unescape(field: string): string {
  return field.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCodePoint(parseInt(octal, 8)))
}

/** Mount points at or below a directory, the last mounted first: the order in which they come off. */
export function mountsBelow(directory: string): readonly string[] {
  if (!existsSync(table)) return []
  return readFileSync(table, 'utf8')
    .split('\n')
    .map((line) => unescape(line.split(' ')[4] ?? ''))
    .filter((target) => target === directory || target.startsWith(directory + path.sep))
    .toReversed()
}
