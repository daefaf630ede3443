/** Whether the kernel has aufs, and what it can. */
import { mkdirSync, readFileSync, realpathSync } from 'node:fs'
import path from 'node:path'
import {
  filesystemName,
  findCommand,
  hasCapability,
  inUserNamespace,
  makeScratch,
  mount,
  run,
  statfs,
  umount,
} from '@graphdriver/sys'
import { rmSync } from 'node:fs'
import { canName, translationFile } from './plan.ts'

/** The place can serve, and this is how. */
export interface KernelHost {
  readonly supported: true
  readonly backing: string
  readonly dirperm1: boolean
  /** aufs-tools' program, which lets go of the bookkeeping of hard links before an unmount. */
  readonly auplink: string | undefined
}

export interface KernelRefusal {
  readonly supported: false
  readonly code: string
  readonly reason: string
  readonly hint: string
}

/** Filesystems that aufs does not take for branches. */
const unfit = new Set(['aufs', 'overlayfs', 'ecryptfs'])

/** Looks at `directory`, which exists. */
export async function examineKernel(directory: string): Promise<KernelHost | KernelRefusal> {
  if (inUserNamespace() || !hasCapability('CAP_SYS_ADMIN'))
    return refuse('not-permitted', 'aufs cannot be mounted without root’s rights', 'run as root')
  await loadModule()
  if (!hasAufs(readFileSync('/proc/filesystems', 'utf8')))
    return refuse(
      'no-aufs',
      'the kernel has no aufs',
      'leave out engine=kernel: overlayfs will mount the layers',
    )
  const backing = filesystemName(statfs(directory).type)
  if (unfit.has(backing))
    return refuse(
      'backing-filesystem',
      `aufs cannot have its branches on ${backing}`,
      'put the data root on ext4 or xfs',
    )
  const real = realpathSync(directory)
  if (!canName(real))
    return refuse(
      'path',
      `aufs cannot be told of ${real}`,
      "choose a data root without ',', ':' and '=' in its path",
    )
  return { supported: true, backing, dirperm1: takesDirperm1(directory), auplink: findCommand('auplink') }
}

/** @param text of /proc/filesystems */
export function hasAufs(text: string): boolean {
  return text.split('\n').some((line) => line.split('\t').at(-1) === 'aufs')
}

/** As Docker does. There may be no such module, or no modprobe, and then there is no aufs either. */
async function loadModule(): Promise<void> {
  if (hasAufs(readFileSync('/proc/filesystems', 'utf8'))) return
  const modprobe = findCommand('modprobe')
  if (modprobe !== undefined) await run(modprobe, ['aufs']).catch(() => undefined)
}

/** An older aufs refuses the option. */
function takesDirperm1(directory: string): boolean {
  using scratch = makeScratch(directory, 'probe', 0o700)
  try {
    const [base, union] = ['base', 'union'].map((name) => path.join(scratch.path, name)) as [string, string]
    for (const made of [base, union]) mkdirSync(made)
    mount({
      source: 'none',
      target: union,
      type: 'aufs',
      data: `br:${base},dirperm1,xino=${translationFile}`,
    })
    umount(union)
    return true
  } catch {
    return false
  } finally {
    rmSync(scratch.path, { recursive: true, force: true })
  }
}

function refuse(code: string, reason: string, hint: string): KernelRefusal {
  return { supported: false, code, reason, hint }
}
