/**
 * Real filesystems for tests: a sparse image file on a loop device, or a tmpfs, mounted for one case.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, open } from 'node:fs/promises'
import path from 'node:path'
import { command, enterLab, labRoot, mountsBelow, ownPrefix, tearDown } from '@graphdriver/core/conformance'
import type { Requirement } from './requirement.ts'

export type FilesystemKind = 'ext4' | 'xfs' | 'btrfs' | 'tmpfs'

export interface FilesystemOptions {
  /** Size in MiB; by default 2048. The image file is sparse, so only what is written takes space. */
  readonly sizeMiB?: number | undefined
  /** Arguments for `mkfs`, before the image file. */
  readonly mkfsOptions?: readonly string[] | undefined
  /** Options for `mount -o`. */
  readonly mountOptions?: readonly string[] | undefined
}

export interface LabFilesystem extends AsyncDisposable {
  readonly kind: FilesystemKind
  /** Where it is mounted, absolute. */
  readonly path: string
}

const mkfs: Readonly<Record<Exclude<FilesystemKind, 'tmpfs'>, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F', '-E', 'nodiscard'],
  xfs: ['mkfs.xfs', '-q', '-f', '-K'],
  btrfs: ['mkfs.btrfs', '-q', '-f', '-K'],
}

/** What a host needs for one, in the terms of `need`. */
export function filesystemRequirements(kind: FilesystemKind): readonly Requirement[] {
  const mounts: Requirement = { root: true, command: 'mount', kernelFilesystem: kind }
  return kind === 'tmpfs' ? [mounts] : [mounts, { command: `mkfs.${kind}` }]
}

async function makeImage(
  kind: keyof typeof mkfs,
  file: string,
  sizeMiB: number,
  options: readonly string[],
): Promise<void> {
  await using image = await open(file, 'wx', 0o600)
  await image.truncate(sizeMiB * 1024 * 1024)
  const [program = '', ...standard] = mkfs[kind]
  await command(program, [...standard, ...options, file])
}

/**
 * Makes a filesystem and mounts it, invisible to other mount namespaces. Disposing it unmounts and deletes it,
 * and fails if something was still mounted inside: that was the case's to unmount.
 */
export async function filesystem(
  kind: FilesystemKind,
  options: FilesystemOptions = {},
): Promise<LabFilesystem> {
  enterLab()
  const { sizeMiB = 2048, mkfsOptions = [], mountOptions = [] } = options
  const directory = await mkdtemp(path.join(labRoot(), ownPrefix()))
  const target = path.join(directory, 'mount')
  const image = path.join(directory, 'image')
  try {
    await mkdir(target)
    if (kind !== 'tmpfs') await makeImage(kind, image, sizeMiB, mkfsOptions)
    const own = kind === 'tmpfs' ? [`size=${sizeMiB}m`, 'mode=0755'] : ['loop']
    const source = kind === 'tmpfs' ? 'graphdriver-lab' : image
    const flags = ['--make-private', '--types', kind, '--options', [...own, ...mountOptions].join(',')]
    await command('mount', [...flags, source, target])
  } catch (error) {
    tearDown(directory)
    throw error
  }
  return {
    kind,
    path: target,
    async [Symbol.asyncDispose]() {
      if (!existsSync(directory)) return
      const leaked = mountsBelow(directory).filter((mount) => mount !== target)
      // Not lazily, so that a file still open inside is seen; loop devices of `mount` detach themselves.
      if (leaked.length === 0) await command('umount', [target])
      tearDown(directory)
      if (leaked.length > 0)
        throw new Error(`${leaked.join(', ')} was left mounted; the case must unmount it`)
    },
  }
}
