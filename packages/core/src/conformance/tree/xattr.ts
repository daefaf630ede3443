/**
 * Extended attributes of a whole tree, as getfattr(1) prints them: one run, and no code of ours between.
 */
import { command } from '../host/command.ts'
import { findCommand } from '../host/requirement.ts'

/** Attribute names to values in hexadecimal. */
export type Xattrs = Readonly<Record<string, string>>

/** A label belongs to the host's policy, not to the tree. */
const hosts = 'security.selinux'

/** getfattr prints the backslash and line ends as octal, and all other bytes as they are. */
function unquote(name: string): string {
  return name.replaceAll(/\\(\d{3})/g, (_, octal: string) => String.fromCodePoint(parseInt(octal, 8)))
}

function parseBlock(block: string): readonly [path: string, xattrs: Xattrs] {
  const [heading = '', ...lines] = block.split('\n')
  const attributes = lines.map((line): [string, string] => {
    const equals = line.indexOf('=')
    return equals < 0 ? [unquote(line), ''] : [unquote(line.slice(0, equals)), line.slice(equals + 1)]
  })
  const own = attributes.filter(([name]) => name !== hosts)
  const path = unquote(heading.slice('# file: '.length))
  return [path, Object.fromEntries(own.toSorted(([a], [b]) => (a < b ? -1 : 1)))]
}

/** The entries of one root, by path relative to it. */
function below(root: string, entries: readonly (readonly [path: string, xattrs: Xattrs])[]): XattrTree {
  const prefix = Buffer.from(root).toString('latin1')
  return new Map(
    entries.flatMap(([path, xattrs]) => {
      if (path === prefix) return [['', xattrs]]
      return path.startsWith(`${prefix}/`) ? [[path.slice(prefix.length + 1), xattrs]] : []
    }),
  )
}

/** By path relative to the root, one character per byte; files without attributes are absent. */
export type XattrTree = ReadonlyMap<string, Xattrs>

/**
 * The attributes of several trees, in one run of the program. Nothing where the host has no getfattr: cases about
 * attributes require it.
 *
 * @param roots absolute, and none in another
 */
export async function readXattrs<Roots extends readonly string[]>(
  ...roots: Roots
): Promise<{ readonly [K in keyof Roots]: XattrTree }>
export async function readXattrs(...roots: readonly string[]): Promise<readonly XattrTree[]> {
  const program = findCommand('getfattr')
  if (program === undefined) return roots.map(() => new Map())
  const flags = ['--recursive', '--physical', '--no-dereference', '--dump', '--match=-', '--encoding=hex']
  const printed = await command(program, [...flags, '--absolute-names', ...roots], { encoding: 'latin1' })
  const entries = printed
    .split('\n\n')
    .filter((block) => block.startsWith('# file: '))
    .map((block) => parseBlock(block.trimEnd()))
  return roots.map((root) => below(root, entries))
}
