import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { GraphDriverError } from '@graphdriver/core'
import { findCommand, inUserNamespace } from '@graphdriver/sys'
import type { Log } from '../log.ts'
import { ChrootRuntime } from './chroot-runtime.ts'
import type { Container, ContainerRuntime } from './container-runtime.ts'
import { OciRuntime } from './oci-runtime.ts'

/** Best first. */
export const runtimeNames = ['runc', 'crun', 'chroot'] as const
export type RuntimeName = (typeof runtimeNames)[number]

/** A runtime that is installed here; `undefined` where it is not. */
export function findRuntime(
  name: RuntimeName,
): { readonly runtime: ContainerRuntime; readonly command: string } | undefined {
  const command = findCommand(name === 'chroot' ? 'unshare' : name)
  if (command === undefined) return undefined
  return { command, runtime: name === 'chroot' ? new ChrootRuntime(command) : new OciRuntime(name, command) }
}

export interface RuntimeChoice {
  readonly wanted: RuntimeName | undefined
  /** The data root, under which it is remembered what could run here. */
  readonly root: string
  readonly log: Log
}

/**
 * The first runtime that can set a container up on this host; for one that cannot (no cgroups, no delegation, a
 * kernel without some feature) the next is taken before anything has run.
 *
 * @throws GD_MISSING_PREREQUISITE naming each runtime and what it lacks
 */
export async function chooseRuntime(
  container: Container,
  { wanted, root, log }: RuntimeChoice,
): Promise<ContainerRuntime> {
  const refusals: string[] = []
  for (const name of wanted === undefined ? runtimeNames : [wanted]) {
    const found = findRuntime(name)
    const refusal = found === undefined ? whereToGet(name) : await refusalOf(found, container, root)
    if (found !== undefined && refusal === undefined) {
      log.debug(`runtime ${name} (${found.command})`)
      return found.runtime
    }
    log.debug(`runtime ${name} cannot serve: ${refusal}`)
    refusals.push(`${name}: ${refusal}`)
  }
  const message = `no runtime can run containers here; ${refusals.join('; ')}`
  throw new GraphDriverError('GD_MISSING_PREREQUISITE', message, { missing: 'container runtime' })
}

function whereToGet(name: RuntimeName): string {
  return name === 'chroot' ? 'unshare is not installed (util-linux)' : 'not installed'
}

/** Trying takes a good part of a second, and its outcome stays the same until the host changes. */
async function refusalOf(
  { runtime, command }: { readonly runtime: ContainerRuntime; readonly command: string },
  container: Container,
  root: string,
): Promise<string | undefined> {
  const isMapped = container.spec.linux.uidMappings !== undefined
  if (isMapped && !runtime.mapsUsers) return 'it gives no container a user namespace of its own'
  const key = `${hostKey(command)}${isMapped ? '-mapped' : ''}`
  const file = path.join(root, '.graphdriver', 'runtimes', `${runtime.name}-${key}`)
  if ((await readRemembered(file)) === 'usable\n') return undefined
  const refusal = await runtime.trial(container)
  if (refusal === undefined) {
    await mkdir(path.dirname(file), { recursive: true, mode: 0o700 })
    await writeFile(file, 'usable\n', { mode: 0o600 })
  }
  return refusal
}

/** The program, the boot, who we are. */
function hostKey(command: string): string {
  const { mtimeMs, size } = statSync(command)
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  const who = `${process.geteuid?.()} ${inUserNamespace()}`
  return createHash('sha256')
    .update(`${command} ${mtimeMs} ${size} ${boot} ${who}`)
    .digest('hex')
    .slice(0, 16)
}

async function readRemembered(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch {
    return undefined
  }
}
