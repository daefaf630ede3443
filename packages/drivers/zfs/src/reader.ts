import { type CallOptions, type LayerId, layerMount, type Mount } from '@graphdriver/core'
import { DetachedMounts, isMountPoint, MOUNT_ATTR, openFilesystem } from '@graphdriver/sys'
import { ZfsDriver } from './driver.ts'
import { mountPoint } from './layout.ts'

/** Of who may write nothing in the pool: a layer is shown where it is mounted, or where nobody else sees it. */
export class ZfsReader extends ZfsDriver {
  readonly #detached = new DetachedMounts()

  override async get(id: LayerId, { signal }: CallOptions = {}): Promise<Mount> {
    signal?.throwIfAborted()
    const source = this.find(id)
    const target = mountPoint(this.home, id)
    if (isMountPoint(target)) return layerMount(id, target, true)
    const path = await this.#detached.hold(id, () =>
      openFilesystem('zfs', [['source', source], 'ro'], MOUNT_ATTR.RDONLY),
    )
    return layerMount(id, path, true, (mounted) => this.put(mounted))
  }

  override async put(id: LayerId): Promise<void> {
    await this.#detached.release(id)
  }

  override async cleanup(): Promise<void> {
    await this.#detached.releaseAll()
    await super.cleanup()
  }

  /** ZFS compares snapshots, and one would have to be taken. */
  protected override touched(): undefined {
    return undefined
  }
}
