/** What is told of the driver and its layers, with Docker's words where it has any. */
import { type LayerId, type StatusRow } from '@graphdriver/core'
import { statfs } from '@graphdriver/sys'
import type { OverlayHost } from '@graphdriver/sys/overlayfs'
import { layerPaths, readForm } from './layout.ts'

/** The last row is ours: inodes are what this driver runs out of first. */
export function describeHost(home: string, host: OverlayHost): readonly StatusRow[] {
  const { files, filesFree } = statfs(home)
  const inodes = files === 0n ? 'unlimited' : `${files - filesFree} of ${files} taken`
  return [
    ['Backing Filesystem', host.backing],
    ['Supports d_type', 'true'],
    ['Inodes', inodes],
  ]
}

/** The keys of `GraphDriver.Data` in `docker inspect`. @throws GD_LAYER_NOT_FOUND */
export async function describeLayer(home: string, id: LayerId): Promise<Readonly<Record<string, string>>> {
  const form = await readForm(home, id)
  const { root, upper, work, merged } = layerPaths(home, id)
  if (form.kind === 'tree') return { RootDir: root }
  const own = { UpperDir: upper, WorkDir: work, MergedDir: merged }
  return form.lower === undefined ? own : { LowerDir: layerPaths(home, form.lower).root, ...own }
}
