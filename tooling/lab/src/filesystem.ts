/**
 * Real filesystems for tests: a sparse image file on a loop device, or a tmpfs, mounted for one case.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, open } from 'node:fs/promises'
import path from 'node:path'
import { command, enterLab, labRoot, mountsBelow, ownPrefix, tearDown } from '@graphdriver/core/conformance'
import type { Requirement } from './requirement.ts'

export type FilesystemKind = 'ext4' | 'xfs' | 'btrfs' | 'tmpfs' | 'ntfs'

export interface FilesystemOptions {
  /** Size in MiB; by default 2048. The image file is sparse, so only what is written takes space. */
  readonly sizeMiB?: number | undefined
  /**
   * Where the image file is: on the disk of the system's temporary directory, or in memory, where flushing costs
   * nothing. Memory is taken as it is written. By default on the disk.
   */
  readonly storage?: 'disk' | 'memory' | undefined
  /** Arguments for `mkfs`, before the image file. */
  readonly mkfsOptions?: readonly string[] | undefined
  /** Options for `mount -o`. */
  readonly mountOptions?: readonly string[] | undefined
  /** What NTFS is mounted with, by default that by which it keeps all that it has; `mountOptions` are added. */
  readonly ntfsOptions?: readonly string[] | undefined
}

export interface LabFilesystem extends AsyncDisposable {
  readonly kind: FilesystemKind
  /** Where it is mounted, absolute. */
  readonly path: string
  /**
   * What a power cut would leave of it: another filesystem, from what is on the device at this moment. Nothing is flushed
   * before. Not of tmpfs, which has no device, nor of NTFS, whose server has written what it has.
   */
  readonly afterPowerCut: () => Promise<LabFilesystem>
}

const standardSizeMiB = 2048
const source = 'graphdriver-lab'

const mkfs: Readonly<Record<Exclude<FilesystemKind, 'tmpfs'>, readonly string[]>> = {
  ext4: ['mkfs.ext4', '-q', '-F', '-E', 'nodiscard'],
  xfs: ['mkfs.xfs', '-q', '-f', '-K'],
  btrfs: ['mkfs.btrfs', '-q', '-f', '-K'],
  ntfs: ['mkntfs', '--quiet', '--fast', '--force', '--sector-size', '512'],
}

/**
 * By a server in user space, which mounts a file without a loop device: files have owners and modes, streams are
 * files with names `file:stream`.
 */
const everyFeature: readonly string[] = ['permissions', 'streams_interface=windows', 'noatime']

/** What a host needs for one, in the terms of `need`. */
export function filesystemRequirements(kind: FilesystemKind): readonly Requirement[] {
  if (kind === 'ntfs') {
    const server: Requirement = { root: true, command: 'ntfs-3g', kernelFilesystem: 'fuse' }
    return [server, { command: 'mkntfs', package: 'ntfs-3g' }]
  }
  const mounts: Requirement = { root: true, command: 'mount', kernelFilesystem: kind }
  return kind === 'tmpfs' ? [mounts] : [mounts, { command: `mkfs.${kind}` }]
}

/** Mounts something where other mount namespaces do not see it. */
async function mountPrivately(
  type: string,
  source: string,
  target: string,
  options: readonly string[],
): Promise<void> {
  await mkdir(target, { recursive: true })
  const flags = ['--make-private', '--types', type, '--options', options.join(',')]
  await command('mount', [...flags, source, target])
}

/** By default with options by which it keeps all that it has. */
export function mountNtfs(image: string, target: string, options = everyFeature): Promise<void> {
  return mountPrivately('ntfs-3g', image, target, options)
}

function imageIn(directory: string): string {
  return path.join(directory, 'store', 'image')
}

/** Makes a place for the image in a directory, which may be a tmpfs mounted there. @returns the file to be */
async function makePlace(
  directory: string,
  { sizeMiB = standardSizeMiB, storage }: FilesystemOptions,
): Promise<string> {
  const image = imageIn(directory)
  const place = path.dirname(image)
  if (storage === 'memory')
    await mountPrivately('tmpfs', source, place, [`size=${sizeMiB + 1}m`, 'mode=0700'])
  else await mkdir(place)
  return image
}

/** Makes a sparse file, which must not be there, with an empty filesystem in it. */
export async function formatImage(
  kind: Exclude<FilesystemKind, 'tmpfs'>,
  file: string,
  { sizeMiB = standardSizeMiB, mkfsOptions = [] }: Pick<FilesystemOptions, 'sizeMiB' | 'mkfsOptions'>,
): Promise<void> {
  {
    await using image = await open(file, 'wx', 0o600)
    await image.truncate(sizeMiB * 1024 * 1024)
  }
  const [program = '', ...standard] = mkfs[kind]
  await command(program, [...standard, ...mkfsOptions, file])
}

/**
 * Makes a filesystem and mounts it, invisible to other mount namespaces. Disposing it unmounts and deletes it,
 * and fails if something was still mounted inside: that was the case's to unmount.
 */
export function filesystem(kind: FilesystemKind, options: FilesystemOptions = {}): Promise<LabFilesystem> {
  return mountImage(kind, options, async (image) => {
    if (kind !== 'tmpfs') await formatImage(kind, image, options)
  })
}

async function mountImage(
  kind: FilesystemKind,
  options: FilesystemOptions,
  fill: (image: string) => Promise<void>,
): Promise<LabFilesystem> {
  enterLab()
  const { sizeMiB = standardSizeMiB, mountOptions = [], ntfsOptions = everyFeature } = options
  const directory = await mkdtemp(path.join(labRoot(), ownPrefix()))
  const target = path.join(directory, 'mount')
  try {
    if (kind === 'tmpfs') {
      await mountPrivately(kind, source, target, [`size=${sizeMiB}m`, 'mode=0755', ...mountOptions])
    } else {
      const image = await makePlace(directory, options)
      await fill(image)
      if (kind === 'ntfs') await mountNtfs(image, target, [...ntfsOptions, ...mountOptions])
      else await mountPrivately(kind, image, target, ['loop', ...mountOptions])
    }
  } catch (error) {
    tearDown(directory)
    throw error
  }
  return {
    kind,
    path: target,
    async afterPowerCut() {
      // XFS mounts no two filesystems that have the same identity.
      const also = kind === 'xfs' ? ['nouuid'] : []
      return mountImage(kind, { ...options, mountOptions: [...mountOptions, ...also] }, async (image) => {
        await command('cp', ['--sparse=always', '--reflink=auto', imageIn(directory), image])
      })
    },
    async [Symbol.asyncDispose]() {
      if (!existsSync(directory)) return
      const own = [target, path.join(directory, 'store')]
      const leaked = mountsBelow(directory).filter((mount) => !own.includes(mount))
      try {
        if (leaked.length > 0)
          throw new Error(`${leaked.join(', ')} was left mounted; the case must unmount it`)
        // Not lazily, so that a file still open inside is seen; loop devices of `mount` detach themselves.
        await command('umount', [target])
      } finally {
        tearDown(directory)
      }
    },
  }
}
