/** A driver that is examined and not used: in fresh directories, on a filesystem that the results name. */
import { access, constants, realpath, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { isGraphDriverError, loadDriver, resolveDriver, selectDriver } from '@graphdriver/core'
import { type Subject, subjectOf, temporaryLab } from '@graphdriver/core/conformance'
import { filesystemName, readMountTable, statfs } from '@graphdriver/sys'
import { UsageError } from './failure.ts'
import type { Invocation } from './invocation.ts'
import { requirePrivileges } from './session.ts'
import { table } from './table.ts'

export interface ExaminationFlags {
  readonly case?: readonly string[]
  readonly directory?: string
  readonly list?: boolean
}

/**
 * The driver as a subject of the suite; as an ordinary user, in a user namespace.
 *
 * @throws UsageError, GD_DRIVER_NOT_FOUND, GD_DRIVER_INVALID, GD_INVALID_OPTION, GD_DRIVER_UNSUPPORTED
 */
export async function examinedDriver(
  invocation: Invocation,
  driver: string | undefined,
  { directory }: ExaminationFlags,
): Promise<Subject> {
  if (driver === undefined) throw new UsageError("missing required argument 'driver'")
  await requirePrivileges(invocation)
  const place = await workingDirectory(directory ?? tmpdir())
  // The suite makes all it makes in the system's temporary directory, and so do the processes it starts.
  process.env['TMPDIR'] = place
  const { name, from } = whereabouts(driver)
  const definition = await loadDriver(name, { from })
  const subject = subjectOf(definition, {
    lab: temporaryLab(filesystemOf(place)),
    module: resolveDriver(name, { from }),
    options: invocation.settings.driverOptions,
  })
  await requireSupport(subject)
  return subject
}

/** @throws UsageError for what is no directory; SystemError of Node for one that cannot be written to */
export async function workingDirectory(directory: string): Promise<string> {
  const found = await realpath(directory)
  if (!(await stat(found)).isDirectory()) throw new UsageError(`${directory} is no directory`)
  await access(found, constants.W_OK | constants.X_OK)
  return found
}

interface Whereabouts {
  readonly name: string
  readonly from: URL | undefined
}

/** Beside the command, else as a program in the working directory would find it: a driver's author is there. */
function whereabouts(driver: string): Whereabouts {
  if (driver.startsWith('.')) return { name: path.resolve(driver), from: undefined }
  const here = pathToFileURL(`${process.cwd()}/`)
  return { name: driver, from: isFound(driver) || !isFound(driver, here) ? undefined : here }
}

function isFound(driver: string, from?: URL): boolean {
  try {
    resolveDriver(driver, { from })
    return true
  } catch (error) {
    return !isGraphDriverError(error, 'GD_DRIVER_NOT_FOUND')
  }
}

/** As the mount table has it, which tells ext4 from ext2. */
function filesystemOf(directory: string): string {
  if (process.platform !== 'linux') return filesystemName(statfs(directory).type)
  const above = readMountTable().filter(({ target }) => isAtOrBelow(directory, target))
  // Of two at the same place the later hides the earlier; sorting keeps their order.
  return above.toSorted((a, b) => a.target.length - b.target.length).at(-1)?.type ?? 'unknown'
}

function isAtOrBelow(file: string, directory: string): boolean {
  return file === directory || file.startsWith(directory.endsWith('/') ? directory : `${directory}/`)
}

/** Every case would say the same. */
async function requireSupport({ definition, options, lab }: Subject): Promise<void> {
  await using place = await lab.place()
  const load = (): Promise<typeof definition> => Promise.resolve(definition)
  await selectDriver({ root: path.join(place.path, 'root'), driver: definition.name, options, load })
}

/** What to type to have the same again, but for the cases. */
export function repetition(
  { settings }: Invocation,
  command: string,
  driver: string | undefined,
  { directory }: ExaminationFlags,
): string {
  const options = Object.entries(settings.driverOptions).map(
    ([key, value]) => `--driver-option ${shellWord(`${key}=${value}`)}`,
  )
  const place = directory === undefined ? [] : [`--directory ${shellWord(directory)}`]
  return ['graphdriver', command, shellWord(driver ?? ''), ...options, ...place].join(' ')
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}

interface ListedCase {
  readonly id: string
  readonly title: string
}

/** The answer to `--list`; nothing is run. */
export function listCases(output: Invocation['output'], cases: readonly ListedCase[]): 0 {
  output.result({ cases: cases.map(({ id, title }) => ({ id, title })) }, () =>
    table(
      ['CASE', 'TITLE'],
      cases.map(({ id, title }) => [id, title]),
    ),
  )
  return 0
}
