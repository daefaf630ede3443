import type { FilesystemKind } from '@tooling/lab'

/** The drivers on which engines run here, and a filesystem for each. */
export const enginePlaces: readonly (readonly [driver: string, kind: FilesystemKind])[] = [
  ['overlay2', 'ext4'],
  ['overlay', 'ext4'],
  ['aufs', 'ext4'],
  ['vfs', 'ext4'],
  ['btrfs', 'btrfs'],
]
