/** The filesystems of this kernel as labs for the conformance suite. */
import { CannotRun, type Lab, temporaryDirectory, type VolumeRequest } from '@graphdriver/core/conformance'
import {
  filesystem,
  type FilesystemKind,
  type FilesystemOptions,
  filesystemRequirements,
  type LabFilesystem,
} from './filesystem.ts'
import { need } from './requirement.ts'

/** Every kind that this kernel may have, in the order of reports. */
export const filesystemKinds: readonly FilesystemKind[] = ['ext4', 'xfs', 'btrfs', 'tmpfs']

/** About as small as mkfs makes each. */
const small: Readonly<Record<FilesystemKind, FilesystemOptions>> = {
  ext4: { sizeMiB: 24 },
  xfs: { sizeMiB: 300 },
  btrfs: { sizeMiB: 48, mkfsOptions: ['--mixed'] },
  tmpfs: { sizeMiB: 24 },
  ntfs: { sizeMiB: 24 },
}

/** Filesystems that have fewer inodes than a small tree has files; btrfs makes inodes as long as it has space. */
const fewInodes: Readonly<Partial<Record<FilesystemKind, FilesystemOptions>>> = {
  ext4: { sizeMiB: 64, mkfsOptions: ['-N', '256'] },
  xfs: { sizeMiB: 300, mkfsOptions: ['-i', 'maxpct=1'] },
  tmpfs: { sizeMiB: 64, mountOptions: ['nr_inodes=256'] },
}

export interface FilesystemLabOptions extends FilesystemOptions {
  /** For reports, where it is not the plain kind: `xfs without reflink`. */
  readonly name?: string | undefined
}

/**
 * A lab on one kind of filesystem: its places share a volume that is made with the first of them. The images are in
 * memory: what a disk does to flushes is not what the suite is about, and costs most of its time.
 */
export function filesystemLab(kind: FilesystemKind, options: FilesystemLabOptions = {}): Lab {
  const name = options.name ?? kind
  const demand = (): void => {
    const missing = need(...filesystemRequirements(kind))
    if (missing !== undefined) throw new CannotRun(missing, [name, kind])
  }
  let shared: Promise<LabFilesystem> | undefined
  return {
    name,
    async place() {
      demand()
      shared ??= filesystem(kind, { storage: 'memory', ...options })
      return temporaryDirectory((await shared).path)
    },
    async volume(request) {
      demand()
      return filesystem(kind, { storage: 'memory', ...volumeOptions(kind, request) })
    },
    async [Symbol.asyncDispose]() {
      await (await shared)?.[Symbol.asyncDispose]()
    },
  }
}

function volumeOptions(kind: FilesystemKind, request: VolumeRequest): FilesystemOptions {
  switch (request.kind) {
    case 'small':
      return small[kind]
    case 'read-only':
      return { ...small[kind], mountOptions: ['ro'] }
    case 'few-inodes': {
      const found = fewInodes[kind]
      if (found === undefined) throw new CannotRun(`${kind} has no limit of inodes`)
      return found
    }
  }
}
