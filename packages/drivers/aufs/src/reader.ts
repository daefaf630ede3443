import { type CallOptions, type LayerId, layerMount, type Mount } from '@graphdriver/core'
import type { StackVolumes } from '@graphdriver/quota'
import { DetachedMounts } from '@graphdriver/sys'
import type { Tools } from './construction.ts'
import { AufsDriver } from './driver.ts'
import { isCommitted } from './form.ts'
import { layerPaths } from './layout.ts'
import type { ReadingEngine } from './reading-engine.ts'

/** Of who may write nothing at the home: a layer is shown where it is mounted, or where nobody else sees it. */
export class AufsReader extends AufsDriver {
  readonly #engine: ReadingEngine
  readonly #detached = new DetachedMounts()

  constructor(home: string, engine: ReadingEngine, tools: Tools, volumes: StackVolumes) {
    super(home, engine, tools, volumes)
    this.#engine = engine
  }

  override async get(id: LayerId, { signal }: CallOptions = {}): Promise<Mount> {
    signal?.throwIfAborted()
    const layer = this.find(id)
    const paths = layerPaths(this.home, id)
    if (!this.isStack(layer)) return layerMount(id, paths.diff, isCommitted(paths))
    if (this.#engine.isMounted(paths.mount)) return layerMount(id, paths.mount, true)
    return this.volumes.reading(id, this.#detached, () => this.#engine.show(layer))
  }

  override async put(id: LayerId): Promise<void> {
    await this.#detached.release(id)
  }

  override async cleanup(): Promise<void> {
    await this.#detached.releaseAll()
    this.#engine[Symbol.dispose]()
    await super.cleanup()
  }
}
