/**
 * An ordinary user may not mount, nor give files to others; root of a user namespace may, within limits. So the
 * command starts itself again in one, by unshare(1) of util-linux, which maps the user to root.
 *
 * The process is replaced, not doubled: pid, terminal, signals and exit code stay as they are.
 *
 * @see user_namespaces(7), subuid(5)
 */
import { existsSync, readFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { GraphDriverError } from '@graphdriver/core'
import { CommandError, findCommand, run } from '@graphdriver/sys'
import type { Log } from './log.ts'
import { reenteredVariable } from './settings.ts'

/** Whether this process may not do what a driver does, and is not in a namespace that we made either. */
export function needsUserNamespace(): boolean {
  return process.platform === 'linux' && process.geteuid?.() !== 0
}

/** Whether we are in the namespace that `reenter` made; mounts made here end with this process. */
export function isReentered(): boolean {
  return process.env[reenteredVariable] !== undefined
}

/**
 * Goes on in a user namespace; does not return.
 *
 * @throws GD_MISSING_PREREQUISITE with what exactly the system lacks or forbids
 */
export async function reenter(log: Log): Promise<never> {
  const unshare = findCommand('unshare')
  if (unshare === undefined) throw missing('unshare', 'the command unshare is missing; install util-linux')
  const flags = await possibleFlags(unshare, log)
  const environment = { ...process.env, [reenteredVariable]: '1' }
  const args = [unshare, ...flags, '--', process.execPath, ...process.execArgv, ...process.argv.slice(1)]
  if (process.execve === undefined)
    throw missing('execve', 'this Node cannot replace its process; use 22.15 or newer')
  return process.execve(unshare, args, environment)
}

const oneId = ['--user', '--map-root-user', '--mount']

/** All the user's subordinate ids where they have any, else just the user as root; tried before it counts. */
async function possibleFlags(unshare: string, log: Log): Promise<readonly string[]> {
  const lacking = whySubordinateIdsLack()
  if (lacking === undefined) {
    const failure = await attempt(unshare, ['--map-auto', ...oneId])
    if (failure === undefined) return ['--map-auto', ...oneId]
    log.info(`subordinate ids cannot be used: ${failure.stderr}`)
  } else log.info(`${lacking}; files of the image can only belong to root`)
  const failure = await attempt(unshare, oneId)
  if (failure === undefined) return oneId
  throw missing(
    'user namespace',
    `no user namespace for ${userName()}: ${whyForbidden(failure)}; or run as root`,
  )
}

async function attempt(unshare: string, flags: readonly string[]): Promise<CommandError | undefined> {
  try {
    await run(unshare, [...flags, '--', 'true'], { timeout: 20_000 })
    return undefined
  } catch (error) {
    if (error instanceof CommandError) return error
    throw error
  }
}

function whySubordinateIdsLack(): string | undefined {
  for (const command of ['newuidmap', 'newgidmap']) {
    if (findCommand(command) === undefined) return `the command ${command} is missing (Debian: uidmap)`
  }
  for (const file of ['/etc/subuid', '/etc/subgid']) {
    if (!hasRange(readText(file) ?? '')) return `${file} has no range for ${userName()}`
  }
  return undefined
}

function hasRange(text: string): boolean {
  const owners = [userName(), String(process.getuid?.())]
  return text.split('\n').some((line) => owners.includes(line.split(':')[0] ?? ''))
}

/** The switches by which systems forbid user namespaces, where they can be read. */
function whyForbidden({ stderr }: CommandError): string {
  if (!existsSync('/proc/self/ns/user')) {
    return 'this kernel has none (CONFIG_USER_NS)'
  }
  const found = forbiddingSwitch()
  if (found !== undefined) return `sysctl ${found.name} is ${found.forbids}${found.note}`
  const words = stderr === '' ? 'unshare failed' : stderr
  return `${words} (a container or seccomp filter may forbid it)`
}

/** A sysctl by which systems forbid user namespaces to ordinary users. */
interface Switch {
  readonly name: string
  readonly forbids: string
  readonly allows: string
  readonly note: string
}

const switches: readonly Switch[] = [
  { name: 'user.max_user_namespaces', forbids: '0', allows: '65536', note: '' },
  { name: 'kernel.unprivileged_userns_clone', forbids: '0', allows: '1', note: '' },
  {
    name: 'kernel.apparmor_restrict_unprivileged_userns',
    forbids: '1',
    allows: '0',
    note: ' (AppArmor); set it to 0 or allow unshare',
  },
]

export function forbiddingSwitch(): Switch | undefined {
  return switches.find(
    ({ name, forbids }) => readText(`/proc/sys/${name.replace('.', '/')}`)?.trim() === forbids,
  )
}

export function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return undefined
  }
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // Not everybody is in /etc/passwd.
    return String(process.getuid?.())
  }
}

function missing(what: string, message: string): GraphDriverError {
  return new GraphDriverError('GD_MISSING_PREREQUISITE', message, { missing: what })
}
