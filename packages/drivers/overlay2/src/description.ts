/** What is told of the driver and its layers, with Docker's words. */
import { readlink } from 'node:fs/promises'
import path from 'node:path'
import type { LayerId, StatusRow } from '@graphdriver/core'
import { isSystemError } from '@graphdriver/sys'
import type { OverlayHost } from '@graphdriver/sys/overlayfs'
import { layerPaths } from './layout.ts'
import { readLayer } from './record.ts'

/** The rows of `docker info`; programs look for them by these names. */
export function describeHost(host: OverlayHost): readonly StatusRow[] {
  return [
    ['Backing Filesystem', host.backing],
    ['Supports d_type', 'true'],
    ['Native Overlay Diff', String(host.nativeDiff.native)],
    ['userxattr', String(host.xattr === 'user')],
    ...(host.program === undefined ? [] : [['Mount Program', host.program] as const]),
  ]
}

/** The keys of `GraphDriver.Data` in `docker inspect`. @throws GD_LAYER_NOT_FOUND */
export async function describeLayer(home: string, id: LayerId): Promise<Readonly<Record<string, string>>> {
  const { lower } = await readLayer(home, id)
  const { work, merged, diff } = layerPaths(home, id)
  const own = { WorkDir: work, MergedDir: merged, UpperDir: diff }
  if (lower.length === 0) return own
  const below = await Promise.all(lower.map((link) => resolveLink(home, link)))
  return { ...own, LowerDir: below.join(':') }
}

/** The directory behind `l/<LINK>`; the link itself when it is missing, which the next mount repairs. */
async function resolveLink(home: string, link: string): Promise<string> {
  const place = path.join(home, link)
  try {
    return path.resolve(path.dirname(place), await readlink(place))
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'EINVAL')) return place
    throw error
  }
}
