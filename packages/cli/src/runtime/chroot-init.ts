/**
 * Process 1 of a container that `chroot-runtime.ts` runs, until it has made the mounts of the OCI configuration and
 * becomes the container's own process. It is in namespaces of its own already.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { findCommand } from '@graphdriver/sys'
import type { RuntimeSpec } from '@graphdriver/image'
import { RootMounts } from './root-mounts.ts'

function readSpec(file: string): RuntimeSpec {
  // Written by `writeBundle` a moment ago.
  return JSON.parse(readFileSync(file, 'utf8'))
}

function prepare(spec: RuntimeSpec): void {
  using root = new RootMounts(spec.root.path)
  for (const mount of spec.mounts) root.mount(mount)
  root.addDevices()
  if (spec.hostname !== undefined) writeFileSync('/proc/sys/kernel/hostname', spec.hostname)
  for (const path of spec.linux.readonlyPaths) root.makeReadonly(path)
  for (const path of spec.linux.maskedPaths) root.mask(path)
  if (spec.root.readonly) root.makeReadonly('/')
}

/** setpriv for the capabilities and groups, unshare, which is left with no namespace to make, for the rest. */
function becoming({ root, process: { args, cwd, user, capabilities } }: RuntimeSpec): readonly string[] {
  const unshare = findCommand('unshare') ?? 'unshare'
  const setpriv = findCommand('setpriv')
  const identity = ['--setuid', String(user.uid), '--setgid', String(user.gid)]
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
export function initContainer([file = '', ...flags]: readonly string[]): number {
  try {
    const spec = readSpec(file)
    prepare(spec)
    if (!flags.includes('--trial')) become(spec)
    return 0
  } catch (error) {
    console.error(`graphdriver: ${error instanceof Error ? error.message : String(error)}`)
    return 125
  }
}
