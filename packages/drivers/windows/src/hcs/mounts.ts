import { KeyedMutex, type LayerId } from '@graphdriver/core'
import type { WindowsLayers } from '@graphdriver/sys/windows'
import { readChain } from './layout.ts'

/** How far a layer is on its way to being seen. */
interface State {
  /** Who wants to see it. */
  count: number
  isActive: boolean
  /** The filter that shows the layers below is attached. */
  isPrepared: boolean
  path: string
}

/** The layers that this process shows, counted. A call that fails on the way back is made again the next time. */
export class Mounts {
  readonly #layers: WindowsLayers
  readonly #mutex = new KeyedMutex()
  readonly #states = new Map<LayerId, State>()

  constructor(layers: WindowsLayers) {
    this.#layers = layers
  }

  /** @returns where the layer is shown */
  get(id: LayerId, folder: string): Promise<string> {
    return this.#mutex.exclusively(id, async () => {
      const state = this.#stateOf(id)
      try {
        await this.#show(state, folder)
      } catch (error) {
        await this.#hide(id, state, folder).catch(() => undefined)
        throw error
      }
      state.count++
      return state.path
    })
  }

  /** Harmless for a layer that is not shown. */
  put(id: LayerId, folder: string): Promise<void> {
    return this.#mutex.exclusively(id, async () => {
      const state = this.#states.get(id)
      if (state === undefined) return
      state.count = Math.max(0, state.count - 1)
      if (state.count === 0) await this.#hide(id, state, folder)
    })
  }

  /** Takes it away from all who have it, then does something with nobody between. */
  ending(id: LayerId, folder: string, action: () => Promise<void>): Promise<void> {
    return this.#mutex.exclusively(id, async () => {
      const state = this.#states.get(id)
      if (state !== undefined) await this.#hide(id, state, folder)
      await action()
    })
  }

  /** Windows exports no layer that is not active, and none whose filter is attached. */
  exporting<T>(id: LayerId, folder: string, action: (chain: readonly string[]) => Promise<T>): Promise<T> {
    return this.#mutex.exclusively(id, async () => {
      const state = this.#stateOf(id)
      await this.#activate(state, folder)
      try {
        await this.#unprepare(state, folder)
        return await action(readChain(folder))
      } finally {
        if (state.count > 0) await this.#prepare(state, folder)
        else await this.#hide(id, state, folder)
      }
    })
  }

  #stateOf(id: LayerId): State {
    const known = this.#states.get(id)
    if (known !== undefined) return known
    const state: State = { count: 0, isActive: false, isPrepared: false, path: '' }
    this.#states.set(id, state)
    return state
  }

  async #show(state: State, folder: string): Promise<void> {
    await this.#activate(state, folder)
    if (state.isPrepared && state.path !== '') return
    await this.#prepare(state, folder)
    // A layer without a volume is shown by its folder.
    state.path = (await this.#layers.mountPath(folder)) || folder
  }

  async #hide(id: LayerId, state: State, folder: string): Promise<void> {
    state.count = 0
    await this.#unprepare(state, folder)
    if (state.isActive) await this.#layers.deactivate(folder)
    this.#states.delete(id)
  }

  async #activate(state: State, folder: string): Promise<void> {
    if (state.isActive) return
    await this.#layers.activate(folder)
    state.isActive = true
  }

  async #prepare(state: State, folder: string): Promise<void> {
    if (state.isPrepared) return
    await this.#layers.prepare(folder, readChain(folder))
    state.isPrepared = true
  }

  async #unprepare(state: State, folder: string): Promise<void> {
    if (!state.isPrepared) return
    await this.#layers.unprepare(folder)
    state.isPrepared = false
  }
}
