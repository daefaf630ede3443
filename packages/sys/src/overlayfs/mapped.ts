/** Stacks that are shown with other owners: overlayfs itself cannot be mapped, its layers can (Linux 5.19). */
import { closeSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { isSystemError } from '../error.ts'
import { openMapped } from '../mapped-mount.ts'
import { moveMount } from '../mount-api.ts'
import { unmountAndRemove } from '../mount.ts'
import type { IdRange } from '../process.ts'
import type { IdRanges } from '../user-namespace.ts'
import { type ExclusiveMountPoint, mountExclusively } from './exclusive.ts'
import type { Stack } from './mount-data.ts'

/**
 * Who root of the host is on the disk, which no image knows as an owner: overlayfs makes whiteouts and copies in the name of who
 * mounted, and that has to be somebody.
 */
const mounter = 0xffff_fffe

/**
 * Mounts as `mountExclusively` does, with other owners. What is written has on the disk the owners of the layer: it can be read,
 * compared and packed there as ever, and be mounted under another map another time.
 *
 * @throws SystemError as `openMapped`, and EINVAL before Linux 5.19
 */
export async function mountMappedStack(
  point: ExclusiveMountPoint,
  stack: Stack,
  { uids, gids }: IdRanges,
): Promise<boolean> {
  const tree = await openMapped(point.home, { uids: withMounter(uids), gids: withMounter(gids) })
  try {
    // By the process's number: mount(8), which may have to do it, is another process.
    return await mountExclusively({ ...point, home: `/proc/${process.pid}/fd/${tree}` }, stack)
  } catch (error) {
    if (!isSystemError(error, 'EINVAL')) throw error
    return await mountAttached(point, stack, tree)
  } finally {
    closeSync(tree)
  }
}

/** Before Linux 6.15 layers have to be mounted somewhere, if only until they are stacked. */
export async function mountAttached(
  point: ExclusiveMountPoint,
  stack: Stack,
  tree: number,
): Promise<boolean> {
  const home = mkdtempSync(path.join(tmpdir(), 'graphdriver-'))
  try {
    moveMount(tree, home)
    return await mountExclusively({ ...point, home }, stack)
  } finally {
    unmountAndRemove(home)
  }
}

function withMounter(ranges: readonly IdRange[]): readonly IdRange[] {
  const isSomebody = ranges.some(({ outside }) => outside === 0)
  return isSomebody ? ranges : [...ranges, { inside: mounter, outside: 0, count: 1 }]
}

/**
 * Notes by which map a layer is mounted, of which the mount itself says nothing; to be done while nobody else mounts it.
 *
 * @param directory the layer's
 */
export function noteMap(directory: string, key: string | undefined): void {
  const note = noteFile(directory)
  if (key !== undefined) writeFileSync(note, key, { mode: 0o600 })
  // Each mount asks, and few layers have one: a look costs less than an error.
  else if (existsSync(note)) rmSync(note)
}

/** By which map a layer is mounted that is mounted. */
export function notedMap(directory: string): string | undefined {
  try {
    return readFileSync(noteFile(directory), 'utf8')
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

function noteFile(directory: string): string {
  return path.join(directory, 'mapped')
}
