import type { Driver } from '@graphdriver/core'
import { type ImageStore, openImageStore, openReferenceStore, type ReferenceStore } from '@graphdriver/image'
import { type DirectoryLayerStore, type Durability, openLayerStore } from '@graphdriver/layer-store'
import { archiveLimits, type Limits } from './limits.ts'
import { Resources } from './resources.ts'

/** The records under a data root, as they are now. Disposing closes them and deletes nothing. */
export interface Stores extends AsyncDisposable {
  readonly layers: DirectoryLayerStore
  readonly images: ImageStore
  readonly references: ReferenceStore
}

export interface OpenStoresOptions {
  readonly root: string
  readonly driver: Driver
  readonly readOnly: boolean
  readonly durability: Durability
  readonly limits: Limits
  readonly signal: AbortSignal
}

export async function openStores({
  root,
  driver,
  readOnly,
  durability,
  limits,
  signal,
}: OpenStoresOptions): Promise<Stores> {
  const volatile = durability === 'volatile'
  await using open = new Resources()
  const layers = open.use(
    await openLayerStore({ root, driver, readOnly, durability, limits: archiveLimits(limits), signal }),
  )
  const images = open.use(await openImageStore({ root, driver: driver.name, layers, volatile, signal }))
  const references = await openReferenceStore({ root, driver: driver.name, volatile })
  const kept = open.move()
  return { layers, images, references, [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose]() }
}
