/** Showing one layer with everything below it at its `merged/`. */
import { existsSync } from 'node:fs'
import { GraphDriverError, type IdMap, idMapKey, type LayerId } from '@graphdriver/core'
import type { LayerQuota } from '@graphdriver/quota'
import { getpagesize, isSystemError } from '@graphdriver/sys'
import {
  type Departures,
  maximumDepth,
  mountExclusively,
  mountMappedStack,
  noteMap,
  type OverlayHost,
  type Stack,
} from '@graphdriver/sys/overlayfs'
import { type LayerPaths, layerPaths, type LayerRecord } from './layout.ts'
import { repairLinks } from './links.ts'

/** In which manner a layer is mounted. */
export interface MountManner {
  /** SELinux context. */
  readonly label?: string | undefined
  /** With other owners. */
  readonly ids?: IdMap | undefined
}

/**
 * Mounts the layer, unless another process has done so meanwhile.
 *
 * @returns whether this call mounted it
 * @throws GD_MAX_DEPTH, SystemError
 */
export async function mountLayer(
  home: string,
  id: LayerId,
  record: LayerRecord,
  host: OverlayHost,
  limits: LayerQuota,
  { label, ids }: MountManner,
): Promise<boolean> {
  const paths = layerPaths(home, id)
  const stack = stackOf(id, record.lower, host, isCommitted(paths), label)
  const { directory, merged, work } = paths
  const { appendsLower, program } = host
  const prepare = (): void => {
    limits.makeRoom(directory, work)
    noteMap(directory, ids && idMapKey(ids))
  }
  const point = { home, target: merged, lock: work, appendsLower, program, prepare }
  const mount = (): Promise<boolean> =>
    ids === undefined ? mountExclusively(point, stack) : mountMappedStack(point, stack, ids)
  try {
    return await mount()
  } catch (error) {
    // A backup that left l/ out: the layers below know their own short names.
    if (isSystemError(error, 'ENOENT') && (await repairLinks(home)) > 0) return await mount()
    if (isSystemError(error, 'E2BIG')) throw tooDeep(id, record, host, error)
    throw error
  }
}

/** The layer as one that nothing can be written to. */
export function readOnlyStack(id: LayerId, { lower }: LayerRecord, host: OverlayHost): Stack {
  return stackOf(id, lower, host, true, undefined)
}

function tooDeep(id: LayerId, { lower }: LayerRecord, { appendsLower }: OverlayHost, cause: Error): Error {
  const depth = lower.length + 1
  const limit = maximumDepth({ pageSize: getpagesize(), appendsLower })
  const message = `layer ${id} is the ${depth}th of its stack, which is more than this kernel mounts: ${cause.message}`
  return new GraphDriverError('GD_MAX_DEPTH', message, { id, depth, limit }, { cause })
}

/** Whether the layer has or had a child, which would see, and be broken by, what is written to it. */
export function isCommitted(paths: LayerPaths): boolean {
  return existsSync(paths.committed)
}

/** Not mounted is success. */
export async function unmountLayer(
  { merged, work, volumes }: LayerPaths,
  departures: Departures,
): Promise<void> {
  await departures.unmount({ target: merged, lock: work })
  // Filesystems in files are unmounted next, which nothing may use then.
  if (existsSync(volumes)) await departures.gone(merged)
}

/** Whether a layer is mounted to be seen: a base layer is only where it has limits. */
export function isStack(paths: LayerPaths, { lower }: LayerRecord): boolean {
  return lower.length > 0 || existsSync(paths.nothing)
}

function stackOf(
  id: LayerId,
  lower: readonly string[],
  host: OverlayHost,
  committed: boolean,
  label: string | undefined,
): Stack {
  const { options } = host
  const below = lower.length > 0 ? lower : [`${id}/nothing`]
  if (committed) return { lower: [`${id}/diff`, ...below], options, label }
  return { lower: below, upper: { diff: `${id}/diff`, work: `${id}/work` }, options, label }
}
