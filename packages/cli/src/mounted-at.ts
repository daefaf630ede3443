import type { WritableLayer } from '@graphdriver/core'
import { isMountPoint } from '@graphdriver/sys'

/** Where a layer is mounted now, for drivers that mount (`MergedDir` is what Docker's drivers call it). */
export async function mountedAt(layer: Pick<WritableLayer, 'metadata'>): Promise<string | undefined> {
  const place = (await layer.metadata())['MergedDir']
  return place !== undefined && isMountPoint(place) ? place : undefined
}
