/** Whether a place can have layers on ZFS, and in which dataset. */
import { createHash } from 'node:crypto'
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import {
  existingAncestors,
  FILESYSTEM_MAGIC,
  filesystemName,
  hasCapability,
  inUserNamespace,
  readMountTable,
  statfs,
  whyUnwritable,
} from '@graphdriver/sys'
import type { ZfsOptions } from './options.ts'

export interface ZfsHost {
  readonly supported: true
  /** The dataset that holds the place, or that the option names. */
  readonly dataset: string
  /** Where it is mounted; undefined for one that the option names. */
  readonly mountedAt: string | undefined
}

export interface ZfsRefusal {
  readonly supported: false
  readonly code: 'not-permitted' | 'no-device' | 'not-zfs' | 'not-writable'
  readonly reason: string
  readonly hint: string
}

const device = '/dev/zfs'

/**
 * Looks at the directory of a data root, or the nearest above it that is there.
 *
 * @param readOnly nothing is to be written there
 */
export function examineHost(root: string, { fsname }: ZfsOptions, readOnly = false): ZfsHost | ZfsRefusal {
  if (inUserNamespace() || !hasCapability('CAP_SYS_ADMIN'))
    return refuse('not-permitted', 'making and mounting datasets is root’s', 'run as root')
  try {
    accessSync(device, constants.R_OK | constants.W_OK)
  } catch {
    return refuse('no-device', `${device} cannot be opened`, 'load the module: modprobe zfs')
  }
  const unwritable = readOnly ? undefined : whyUnwritable(root)
  if (unwritable !== undefined) return refuse('not-writable', unwritable, 'choose another data root')
  if (fsname !== undefined) return { supported: true, dataset: fsname, mountedAt: undefined }
  const directory = existingAncestors(root)[0] ?? '/'
  const { type } = statfs(directory)
  const notZfs = (reason: string): ZfsRefusal =>
    refuse('not-zfs', reason, 'put the data root on a dataset, or name one: option fsname')
  if (type !== FILESYSTEM_MAGIC.zfs) return notZfs(`${directory} is on ${filesystemName(type)}`)
  const { dev } = statSync(directory)
  const mounted = readMountTable().filter((entry) => entry.type === 'zfs')
  const entry = mounted.findLast(({ target }) => existsSync(target) && statSync(target).dev === dev)
  if (entry === undefined) return notZfs(`no dataset is found that ${directory} is on`)
  return { supported: true, dataset: entry.source, mountedAt: entry.target }
}

/**
 * The dataset for the layers of a home. Docker takes the one that the data root is on, wherever it is mounted; two data
 * roots on one would then have the same layers. So a fresh home that is not at the top of its dataset gets one of its
 * own, and remembers which.
 *
 * @returns the name, and whether it is to be remembered
 */
export function datasetFor(
  home: string,
  { dataset, mountedAt }: ZfsHost,
): { readonly name: string; readonly own: boolean } {
  const known = readIfThere(path.join(home, 'dataset'))
  if (known !== undefined) return { name: known, own: true }
  const root = path.dirname(home)
  if (mountedAt === undefined || mountedAt === root || existsSync(path.join(home, 'graph')))
    return { name: dataset, own: false }
  const relative = path.relative(mountedAt, root)
  // What ZFS allows in a name, and no separator; names are bounded, paths are not.
  const words = relative.replaceAll(/[^A-Za-z0-9_.-]/g, ':')
  const digest = createHash('sha256').update(relative).digest('hex').slice(0, 16)
  return { name: `${dataset}/graphdriver:${words.length > longestWords ? digest : words}`, own: true }
}

const longestWords = 64

function readIfThere(file: string): string | undefined {
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined
}

function refuse(code: ZfsRefusal['code'], reason: string, hint: string): ZfsRefusal {
  return { supported: false, code, reason, hint }
}
