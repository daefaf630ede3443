/** Where a container's bundle is while it runs. What a killed command has left is cleaned up by the next one. */
import { chmodSync, chownSync, closeSync, mkdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { IdMap } from '@graphdriver/core'
import {
  abandonedScratch,
  AT_FDCWD,
  makeScratch,
  moveMount,
  OPEN_TREE,
  openTree,
  unmountTree,
} from '@graphdriver/sys'
import { hostRootOf } from '../id-maps.ts'

const purpose = 'run'

export interface RunPlace extends AsyncDisposable {
  readonly path: string
}

export async function runPlace(): Promise<RunPlace> {
  for (const left of abandonedScratch(tmpdir(), purpose, process.geteuid?.())) await discard(left.path)
  const scratch = makeScratch(tmpdir(), purpose, 0o700)
  return {
    path: scratch.path,
    async [Symbol.asyncDispose]() {
      using _ = scratch
      await discard(scratch.path)
    },
  }
}

/**
 * Shows a root filesystem once more, where root of a user namespace can come to it: data roots let nobody in but root of the host.
 *
 * @returns where
 */
export function showToMapped(place: string, rootfs: string, ids: IdMap): string {
  const target = path.join(place, 'rootfs')
  mkdirSync(target)
  const tree = openTree(AT_FDCWD, rootfs, OPEN_TREE.CLONE)
  try {
    moveMount(tree, target)
  } finally {
    closeSync(tree)
  }
  // By its group: the directory stays ours, by which the next command knows it.
  chownSync(place, -1, hostRootOf(ids).gid)
  chmodSync(place, 0o710)
  return target
}

async function discard(place: string): Promise<void> {
  // First: what is mounted there is not to be deleted.
  unmountTree(place)
  await rm(place, { recursive: true, force: true })
}
