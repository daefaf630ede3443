/**
 * Extended attributes of a whole tree, as getfattr(1) prints them: one run, and no code of ours between.
 */
import { command } from './command.ts'

/** Attribute names to values in hexadecimal. */
export type Xattrs = Readonly<Record<string, string>>

/** getfattr prints bytes outside of printable ASCII, and the backslash, as octal. */
function unquote(name: string): string {
  return name.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCodePoint(parseInt(octal, 8)))
}

function parseBlock(block: string): readonly [path: string, xattrs: Xattrs] {
  const [heading = '', ...lines] = block.split('\n')
  const attributes = lines.map((line): [string, string] => {
    const equals = line.indexOf('=')
    return equals < 0 ? [unquote(line), ''] : [unquote(line.slice(0, equals)), line.slice(equals + 1)]
  })
  const path = unquote(heading.slice('# file: '.length))
  return [path === '.' ? '' : path, Object.fromEntries(attributes.toSorted(([a], [b]) => (a < b ? -1 : 1)))]
}

/** By path relative to the root, one character per byte; files without attributes are absent. */
export async function readXattrs(root: string): Promise<ReadonlyMap<string, Xattrs>> {
  const printed = await command(
    'getfattr',
    ['--recursive', '--physical', '--no-dereference', '--dump', '--match=-', '--encoding=hex', '.'],
    { cwd: root },
  )
  return new Map(
    printed
      .split('\n\n')
      .filter((block) => block.startsWith('# file: '))
      .map((block) => parseBlock(block.trimEnd())),
  )
}
