/** A filesystem of a round's own: each contender begins on an empty one, and none pays for what another left. */
import { execa } from 'execa'
import { filesystem, type FilesystemKind } from '@tooling/lab'
import type { Setting } from './work.ts'

const sizeMiB = 16 * 1024

/** Does something on a fresh filesystem. What was written is on the disk before, and is thrown away after. */
export async function onFresh<T>(
  { storage }: Setting,
  kind: FilesystemKind,
  action: (root: string) => Promise<T>,
): Promise<T> {
  await using volume = await filesystem(kind, { sizeMiB, storage })
  await execa('sync')
  return await action(volume.path)
}

/** Has the kernel hold a file in memory, so that no contender is the one that reads it from the disk. */
export async function warm(...files: readonly string[]): Promise<void> {
  await execa('cat', files, { stdout: 'ignore' })
}

/** Waits until all that was written to a filesystem is on the disk. */
export async function flush(place: string): Promise<void> {
  await execa('sync', ['--file-system', place])
}
