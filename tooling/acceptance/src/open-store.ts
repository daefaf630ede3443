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
  const definition = await loadDriver(name, { from: import.meta.url })
  const driver = await definition.open(hostOf(definition, { root }))
  try {
    const layers = await openLayerStore({ root, driver, readOnly: true })
    return {
      driver,
      layers,
      async [Symbol.asyncDispose]() {
        await layers[Symbol.asyncDispose]()
        await driver[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await driver[Symbol.asyncDispose]()
    throw error
  }
}
