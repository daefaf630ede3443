/** Where the stores are that things happen to: filesystems of their own, in memory, where flushing costs nothing. */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { filesystem, type FilesystemKind, filesystemRequirements, need, type Requirement } from '@tooling/lab'
import { type Inputs, makeInputs } from './inputs.ts'

export interface ReliabilityPlace extends AsyncDisposable {
  /** For one data root each, below which nothing is yet. */
  readonly directory: (name: string) => Promise<string>
  readonly inputs: Inputs
}

/** Which filesystem a driver is tried on. */
export function filesystemOf(driver: string): FilesystemKind {
  return driver === 'btrfs' ? 'btrfs' : driver === 'vfs' ? 'xfs' : 'ext4'
}

/** What a host needs for a driver's stores, in the terms of `need`. */
export function requirementsOf(driver: string): readonly Requirement[] {
  // Aufs is mounted by overlayfs where the kernel has no aufs.
  const overlay: readonly Requirement[] =
    driver.startsWith('overlay') || driver === 'aufs' ? [{ root: true, kernelFilesystem: 'overlay' }] : []
  return [...filesystemRequirements(filesystemOf(driver)), ...overlay]
}

export function missingFor(driver: string): string | undefined {
  return need(...requirementsOf(driver))
}

export async function placeFor(driver: string): Promise<ReliabilityPlace> {
  const volume = await filesystem(filesystemOf(driver), { sizeMiB: 1024, storage: 'memory' })
  const at = (name: string): string => path.join(volume.path, name)
  const directory = async (name: string): Promise<string> => {
    await mkdir(at(name), { recursive: true })
    return at(name)
  }
  return {
    directory,
    inputs: await makeInputs(await directory('inputs')),
    [Symbol.asyncDispose]: () => volume[Symbol.asyncDispose](),
  }
}
