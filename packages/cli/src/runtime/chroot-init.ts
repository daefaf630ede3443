/**
 * Process 1 of a container that `chroot-runtime.ts` runs, until it has made the mounts of the OCI configuration and
 * becomes the container's own process. It is in namespaces of its own already.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { findCommand, isSystemError, run } from '@graphdriver/sys'
import type { RuntimeSpec } from '@graphdriver/image'
import { RootMounts } from './root-mounts.ts'

function readSpec(file: string): RuntimeSpec {
  // Written by `writeBundle` a moment ago.
  return JSON.parse(readFileSync(file, 'utf8'))
}

async function prepare(spec: RuntimeSpec): Promise<void> {
  // Before /proc is the container's, and partly read-only.
  if (spec.hostname !== undefined) await setHostname(spec.hostname)
  using root = new RootMounts(spec.root.path)
  for (const mount of spec.mounts) root.mount(mount)
  root.addDevices()
  for (const path of spec.linux.readonlyPaths) root.makeReadonly(path)
  for (const path of spec.linux.maskedPaths) root.mask(path)
  if (spec.root.readonly) root.makeReadonly('/')
}

/** The file is only for root of the machine, the system call also for root of a user namespace. */
async function setHostname(name: string): Promise<void> {
  try {
    writeFileSync('/proc/sys/kernel/hostname', name)
  } catch (error) {
    if (!isSystemError(error, 'EACCES', 'EROFS')) throw error
    if (findCommand('hostname') !== undefined) await run('hostname', [name])
  }
}

/** setpriv for the capabilities and groups, unshare, which is left with no namespace to make, for the rest. */
function becoming({ root, process: { args, cwd, user, capabilities } }: RuntimeSpec): readonly string[] {
  const unshare = findCommand('unshare') ?? 'unshare'
  const setpriv = findCommand('setpriv')
  // A user namespace of one id allows no setgroups(2), which goes with --setgid; nor is there anybody else to be.
  const isSame = user.uid === process.getuid?.() && user.gid === process.getgid?.()
  const identity = isSame ? [] : ['--setuid', String(user.uid), '--setgid', String(user.gid)]
  const enter = [unshare, '--root', root.path, '--wd', cwd, ...identity, '--', ...args]
  if (setpriv === undefined) return enter
  const bounding = capabilities.bounding.map((name) => `+${name.replace(/^CAP_/, '').toLowerCase()}`)
  return [setpriv, '--bounding-set', ['-all', ...bounding].join(','), '--inh-caps=-all', '--', ...enter]
}

function become(spec: RuntimeSpec): void {
  const [command = '', ...args] = becoming(spec)
  const environment = Object.fromEntries(
    spec.process.env.map((variable): [string, string] => {
      const equals = variable.indexOf('=')
      return [variable.slice(0, equals), variable.slice(equals + 1)]
    }),
  )
  process.execve?.(command, [command, ...args], environment)
}

/**
 * Becomes the container of an OCI configuration, or with `--trial` only does what goes before that.
 *
 * @returns the exit code of a failure
 */
export async function initContainer([file = '', ...flags]: readonly string[]): Promise<number> {
  try {
    const spec = readSpec(file)
    await prepare(spec)
    if (!flags.includes('--trial')) become(spec)
    return 0
  } catch (error) {
    console.error(`graphdriver: ${error instanceof Error ? error.message : String(error)}`)
    return 125
  }
}
