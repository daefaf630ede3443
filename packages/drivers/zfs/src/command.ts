/**
 * The command zfs(8), typed: its words, what it prints, and what it means when it fails. Everything about text is pure;
 * it is held to recorded output.
 */
import { CommandError, run } from '@graphdriver/sys'

/** What a failure of the command means, as far as a driver does something about it. */
export type ZfsFailure =
  | 'exists'
  | 'missing'
  | 'busy'
  | 'dependents'
  | 'quota'
  | 'no-space'
  | 'name'
  | 'other'

const meanings: readonly (readonly [RegExp, ZfsFailure])[] = [
  [/dataset already exists/, 'exists'],
  [/dataset does not exist|could not find any snapshots|no such pool/, 'missing'],
  [/(?:dataset|pool) is busy|(?:dataset|filesystem) is (?:currently )?mounted/, 'busy'],
  [/has (?:dependent clones|children)|is used by/, 'dependents'],
  [/size is less than current used|quota exceeded/, 'quota'],
  [/out of space/, 'no-space'],
  [/invalid (?:character|dataset name)|name is too long|invalid dataset name/, 'name'],
]

/** @param stderr of `zfs` with LC_ALL=C */
export function failureOf(stderr: string): ZfsFailure {
  return meanings.find(([words]) => words.test(stderr))?.[1] ?? 'other'
}

/** Whether an error is the command's, of one of these kinds. */
export function isZfsError(error: unknown, ...kinds: readonly ZfsFailure[]): error is CommandError {
  return error instanceof CommandError && kinds.includes(failureOf(error.stderr))
}

/** Lines of `-H` output: fields are separated by tabs; `-` is nothing. */
export function parseTable(text: string): readonly (readonly string[])[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t').map((field) => (field === '-' ? '' : field)))
}

/** Runs `zfs` and gives the lines that it prints. @throws CommandError */
export async function zfs(...args: readonly string[]): Promise<readonly (readonly string[])[]> {
  const { stdout } = await run('zfs', args)
  return parseTable(stdout)
}

/** One property of a dataset, with numbers in full; undefined when there is no such dataset. */
export async function propertyOf(dataset: string, property: string): Promise<string | undefined> {
  try {
    const [line] = await zfs('get', '-Hp', '-o', 'value', property, dataset)
    return line?.[0] ?? ''
  } catch (error) {
    if (isZfsError(error, 'missing')) return undefined
    throw error
  }
}

/** The filesystems directly in a dataset. */
export async function childrenOf(dataset: string): Promise<readonly string[]> {
  const lines = await zfs('list', '-H', '-o', 'name', '-d', '1', '-t', 'filesystem', dataset)
  return lines.flatMap(([name]) => (name === undefined || name === dataset ? [] : [name]))
}

/** Snapshots of the filesystems directly in a dataset, with the clones that stand on each. */
export async function snapshotsBelow(
  dataset: string,
): Promise<readonly { readonly name: string; readonly clones: readonly string[] }[]> {
  const lines = await zfs('list', '-H', '-o', 'name,clones', '-d', '2', '-t', 'snapshot', dataset)
  return lines.flatMap(([name, clones = '']) =>
    name === undefined ? [] : [{ name, clones: clones === '' ? [] : clones.split(',') }],
  )
}
