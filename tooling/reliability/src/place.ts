/** Where the stores are that things happen to: filesystems of their own, in memory, where flushing costs nothing. */
import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { run } from '@graphdriver/sys'
import {
  filesystem,
  type FilesystemKind,
  filesystemRequirements,
  need,
  type Requirement,
  temporaryDirectory,
} from '@tooling/lab'
import { type Inputs, makeInputs } from './inputs.ts'
import { inGuests } from './root.ts'

export interface ReliabilityPlace extends AsyncDisposable {
  /** For one data root each, below which nothing is yet. */
  readonly directory: (name: string) => Promise<string>
  readonly inputs: Inputs
}

const filesystems: ReadonlyMap<string, FilesystemKind> = new Map([
  ['btrfs', 'btrfs'],
  ['vfs', 'xfs'],
  ['windows', 'ntfs'],
])

/** Which filesystem a driver is tried on. */
export function filesystemOf(driver: string): FilesystemKind {
  return filesystems.get(driver) ?? 'ext4'
}

/** What a host needs for a driver's stores, in the terms of `need`. */
export function requirementsOf(driver: string): readonly Requirement[] {
  // Aufs is mounted by overlayfs where the kernel has no aufs.
  const overlay: readonly Requirement[] =
    driver.startsWith('overlay') || driver === 'aufs' ? [{ root: true, kernelFilesystem: 'overlay' }] : []
  return [...filesystemRequirements(filesystemOf(driver)), ...overlay]
}

export function missingFor(driver: string): string | undefined {
  if (isInGuests(driver)) return isGuest() ? undefined : 'a guest has it'
  return need(...requirementsOf(driver))
}

export async function placeFor(driver: string): Promise<ReliabilityPlace> {
  if (driver === 'zfs') return poolPlace()
  if (driver === 'devicemapper') return temporaryPlace()
  const volume = await filesystem(filesystemOf(driver), { sizeMiB: 1024, storage: 'memory' })
  const at = (name: string): string => path.join(volume.path, name)
  const directory = async (name: string): Promise<string> => {
    await mkdir(at(name), { recursive: true })
    return at(name)
  }
  return {
    directory,
    inputs: await makeInputs(await directory('inputs'), driver),
    [Symbol.asyncDispose]: () => volume[Symbol.asyncDispose](),
  }
}

/** The disk that `stepsInGuest` gives a guest. */
const guestDisk = '/dev/ubdb'

/** Whether this is one of the lab's guests. */
function isGuest(): boolean {
  return existsSync(guestDisk)
}

export function isInGuests(driver: string): boolean {
  return inGuests.some(({ name }) => name === driver)
}

/** In a guest: each directory is a dataset of its own, in a pool on its disk. */
async function poolPlace(): Promise<ReliabilityPlace> {
  await run('zpool', ['create', '-f', '-O', 'mountpoint=none', '-O', 'xattr=sa', 'steps', guestDisk])
  const scratch = await temporaryDirectory()
  return {
    async directory(name) {
      await run('zfs', ['create', '-o', `mountpoint=/mnt/${name}`, `steps/${name}`])
      return `/mnt/${name}`
    },
    inputs: await makeInputs(scratch.path, 'zfs'),
    async [Symbol.asyncDispose]() {
      await run('zpool', ['destroy', '-f', 'steps'])
      await scratch[Symbol.asyncDispose]()
    },
  }
}

/** In a guest: its temporary files are on an ext4 in memory; each directory gets a pool of blocks in files of its own. */
async function temporaryPlace(): Promise<ReliabilityPlace> {
  const scratch = await temporaryDirectory()
  const directory = async (name: string): Promise<string> => {
    const made = path.join(scratch.path, name)
    await mkdir(made)
    return made
  }
  return {
    directory,
    inputs: await makeInputs(await directory('inputs'), 'devicemapper'),
    [Symbol.asyncDispose]: () => scratch[Symbol.asyncDispose](),
  }
}
