import { type Driver, hostOf, loadDriver } from '@graphdriver/core'
import { type DirectoryLayerStore, openLayerStore } from '@graphdriver/layer-store'
import type { Place } from './graphdriver.ts'

export interface OpenStore extends AsyncDisposable {
  readonly driver: Driver
  readonly layers: DirectoryLayerStore
}

/**
 * Opens the layer store of a data root to look at it. Nothing holds the layers of its images here, so that a store
 * which could write would delete them when they are let go.
 */
export async function openStore({ root, driver: name }: Place): Promise<OpenStore> {
  await using open = new AsyncDisposableStack()
  const definition = await loadDriver(name, { from: import.meta.url })
  const driver = open.use(await definition.open(hostOf(definition, { root })))
  const layers = open.use(await openLayerStore({ root, driver, readOnly: true }))
  const kept = open.move()
  return { driver, layers, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}
