import { existsSync } from 'node:fs'
import path from 'node:path'
import { type CallOptions, type LayerId, layerMount, type Mount } from '@graphdriver/core'
import { DetachedMounts } from '@graphdriver/sys'
import { isStackMounted, notedMap, openStack } from '@graphdriver/sys/overlayfs'
import { OverlayDriver } from './driver.ts'
import { layerPaths, readForm } from './layout.ts'

/** Of who may write nothing at the home: a layer is shown where it is mounted, or where nobody else sees it. */
export class OverlayReader extends OverlayDriver {
  readonly #detached = new DetachedMounts()

  override async get(id: LayerId, { signal }: CallOptions = {}): Promise<Mount> {
    signal?.throwIfAborted()
    const { home } = this
    const form = await readForm(home, id)
    const { directory, root, merged, committed } = layerPaths(home, id)
    if (form.kind === 'tree') return layerMount(id, root, existsSync(committed))
    // By a map it is mounted with other owners than it has.
    if (isStackMounted(merged) && notedMap(directory) === undefined) return layerMount(id, merged, true)
    const { options, appendsLower } = this.host
    const below = form.lower === undefined ? path.join(id, 'nothing') : path.join(form.lower, 'root')
    const stack = { lower: [path.join(id, 'upper'), below], options }
    return this.volumes.reading(id, this.#detached, () => openStack({ home, appendsLower }, stack))
  }

  override async put(id: LayerId): Promise<void> {
    await this.#detached.release(id)
  }

  override async cleanup(): Promise<void> {
    await this.#detached.releaseAll()
    await super.cleanup()
  }
}
