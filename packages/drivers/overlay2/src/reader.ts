import { type CallOptions, type LayerId, layerMount, type Mount } from '@graphdriver/core'
import { DetachedMounts } from '@graphdriver/sys'
import { isStackMounted, notedMap, openStack } from '@graphdriver/sys/overlayfs'
import { Overlay2Driver } from './driver.ts'
import { layerPaths } from './layout.ts'
import { isCommitted, isStack, readOnlyStack } from './mounting.ts'
import { readLayer } from './record.ts'

/** Of who may write nothing at the home: a layer is shown where it is mounted, or where nobody else sees it. */
export class Overlay2Reader extends Overlay2Driver {
  readonly #detached = new DetachedMounts()

  override async get(id: LayerId, { signal }: CallOptions = {}): Promise<Mount> {
    signal?.throwIfAborted()
    const { home } = this
    const record = await readLayer(home, id)
    const paths = layerPaths(home, id)
    if (!isStack(paths, record)) return layerMount(id, paths.diff, isCommitted(paths))
    // By a map it is mounted with other owners than it has.
    const isPlain = isStackMounted(paths.merged) && notedMap(paths.directory) === undefined
    if (isPlain) return layerMount(id, paths.merged, true)
    const { appendsLower, program } = this.host
    const stack = readOnlyStack(id, record, this.host)
    return this.volumes.reading(id, this.#detached, () => openStack({ home, appendsLower, program }, stack))
  }

  override async put(id: LayerId): Promise<void> {
    await this.#detached.release(id)
  }

  override async cleanup(): Promise<void> {
    await this.#detached.releaseAll()
    await super.cleanup()
  }
}
