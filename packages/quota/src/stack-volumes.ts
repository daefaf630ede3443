import { type LayerId, layerMount, type Mount } from '@graphdriver/core'
import type { DetachedMounts } from '@graphdriver/sys'

/**
 * The volumes of the layers of stacks, for a driver that mounts them: made visible while a layer is read, and held as
 * long as one is mounted.
 */
export class StackVolumes {
  readonly #volumesOf: (id: LayerId) => Promise<readonly LayerId[]>
  readonly #open: (id: LayerId) => Promise<AsyncDisposable | undefined>
  readonly #held = new Map<LayerId, AsyncDisposable>()

  /**
   * @param volumesOf the layers of a stack that have a volume
   * @param open makes the volume of one visible
   */
  constructor(
    volumesOf: (id: LayerId) => Promise<readonly LayerId[]>,
    open: (id: LayerId) => Promise<AsyncDisposable | undefined>,
  ) {
    this.#volumesOf = volumesOf
    this.#open = open
  }

  /** Makes those of a layer's stack visible until what is returned is disposed; most stacks have none. */
  async open(id: LayerId): Promise<AsyncDisposable | undefined> {
    const ids = await this.#volumesOf(id)
    if (ids.length === 0) return undefined
    const opened: AsyncDisposable[] = []
    const close = async (): Promise<void> => {
      for (const volume of opened.splice(0).toReversed()) await volume[Symbol.asyncDispose]()
    }
    try {
      for (const layer of ids) {
        const volume = await this.#open(layer)
        if (volume !== undefined) opened.push(volume)
      }
    } catch (error) {
      await close()
      throw error
    }
    return { [Symbol.asyncDispose]: close }
  }

  /** Mounts a layer, and keeps the volumes of its stack visible until `letGo`. */
  async holding<T>(id: LayerId, mount: () => Promise<T>): Promise<T> {
    const volumes = await this.open(id)
    try {
      const result = await mount()
      if (volumes !== undefined) this.#held.set(id, volumes)
      return result
    } catch (error) {
      await volumes?.[Symbol.asyncDispose]()
      throw error
    }
  }

  /**
   * Mounts a layer for who may write nothing, where nobody else sees it, and keeps the volumes of its stack visible.
   *
   * @param show a descriptor of it, mounted nowhere
   */
  async reading(id: LayerId, detached: DetachedMounts, show: () => Promise<number> | number): Promise<Mount> {
    const volumes = await this.open(id)
    try {
      const path = await detached.hold(id, show)
      return layerMount(id, path, true, async () => {
        await detached.release(id)
        await volumes?.[Symbol.asyncDispose]()
      })
    } catch (error) {
      await volumes?.[Symbol.asyncDispose]()
      throw error
    }
  }

  async letGo(id: LayerId): Promise<void> {
    const volumes = this.#held.get(id)
    this.#held.delete(id)
    await volumes?.[Symbol.asyncDispose]()
  }
}
