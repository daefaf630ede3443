/** Turning a layer into a whole tree: the parent's, by hard links, with the changes of a tar. */
import { rmSync } from 'node:fs'
import type { TreeWorkers } from '@graphdriver/archive'
import { type CallOptions, GraphDriverError, type LayerId, type TarStream } from '@graphdriver/core'
import { makeScratch, statfs, takeName } from '@graphdriver/sys'
import { unmountExclusively } from '@graphdriver/sys/overlayfs'
import { layerNotFound, layerPaths } from './layout.ts'

/**
 * Applies a tar to a copy of the tree of `parent`, which becomes the tree of `id`. Until then the layer is as it was.
 *
 * @returns bytes of what the tar left in it
 * @throws GD_NO_INODES before anything is made
 */
export async function applyToCopy(
  home: string,
  id: LayerId,
  parent: LayerId,
  tar: TarStream,
  workers: TreeWorkers,
  { signal }: CallOptions,
): Promise<number> {
  const source = layerPaths(home, parent).root
  await demandInodes(home, id, source, workers, signal)
  // Ours alone until it is whole.
  using scratch = makeScratch(home, 'layer', 0o700)
  try {
    await workers.copy(source, scratch.path, { mode: 'hardlink', signal })
    const { contentBytes } = await workers.apply(scratch.path, tar, {
      whiteouts: 'remove',
      shared: true,
      signal,
    })
    const { root, upper, work, merged, lowerId } = layerPaths(home, id)
    if (!takeName(scratch.path, root)) throw layerNotFound(id)
    // Nothing may be deleted through a mount of it.
    unmountExclusively({ target: merged, lock: work })
    for (const name of [lowerId, work, upper]) rmSync(name, { recursive: true, force: true })
    return contentBytes
  } catch (error) {
    await workers.remove(scratch.path).catch(() => undefined)
    throw error
  }
}

/**
 * Hard links make files free, but each directory takes an inode. Where less is free than the parent has directories,
 * nothing is begun: an exhausted filesystem serves nobody (moby issue 10613).
 */
async function demandInodes(
  home: string,
  id: LayerId,
  source: string,
  workers: TreeWorkers,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { files, filesFree: free } = statfs(home)
  // No directory without an inode: with more free than taken there is nothing to count. btrfs has no bound at all.
  if (files === 0n || free > files - free) return
  const needed = await workers.countDirectories(source, { signal })
  if (BigInt(needed) < free) return
  throw new GraphDriverError(
    'GD_NO_INODES',
    `layer ${id} needs ${needed} inodes for the directories of its image, and ${home} has ${free} left; ` +
      'remove layers, or use a filesystem made with more inodes (mkfs.ext4 -N), or overlay2',
    { id, needed, free: Number(free) },
  )
}
