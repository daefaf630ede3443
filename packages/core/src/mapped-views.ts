import { existsSync, mkdirSync, readdirSync, rmdirSync } from 'node:fs'
import path from 'node:path'
import { checkIdMap, type IdMap, idMapKey, unmappable } from './id-map.ts'
import type { LayerId } from './id.ts'
import { layerMount, type Mount } from './mount.ts'
import { MountReferences } from './mount-references.ts'

/** What mounts one directory at another with other owners. */
export interface MappedMounts {
  isMounted(target: string): boolean
  /** @returns false when it was mounted there already */
  mount(source: string, target: string, ids: IdMap): Promise<boolean>
  /** Not mounted is success; the directory goes too. */
  unmount(target: string): void
}

/**
 * The layers of a driver of which each is a directory, shown with other owners: beside each other under different maps, each as
 * long as somebody uses it.
 *
 * They are mounted in `<home>/.graphdriver-mapped/<id>-<map>`, so that a later process finds what an earlier one has left.
 */
export class MappedViews {
  readonly #driver: string
  readonly #directory: string
  readonly #mounts: MappedMounts
  readonly #references: MountReferences

  /** @param home the driver's */
  constructor(driver: string, home: string, mounts: MappedMounts) {
    this.#driver = driver
    this.#directory = path.join(home, '.graphdriver-mapped')
    this.#mounts = mounts
    this.#references = new MountReferences((target) => mounts.isMounted(target))
  }

  /**
   * @param source where the layer is; `release` is called when it is not needed any more
   * @throws GD_INVALID_OPTION, what the mount throws; then `source` was released
   */
  async show(id: LayerId, source: Mount, ids: IdMap): Promise<Mount> {
    try {
      checkIdMap(ids)
      const target = path.join(this.#directory, `${id}-${idMapKey(ids)}`)
      await this.#references.acquire(target, async () => {
        mkdirSync(target, { recursive: true, mode: 0o700 })
        try {
          return await this.#mounts.mount(source.path, target, ids)
        } catch (error) {
          removeUnused(target)
          throw error
        }
      })
      return layerMount(id, target, source.readonly, async () => {
        await this.#references.release(target, () => this.#mounts.unmount(target))
        await source[Symbol.asyncDispose]()
      })
    } catch (error) {
      await source[Symbol.asyncDispose]()
      throw unmappable(this.#driver, id, error)
    }
  }

  /** Of a `put` by id: what of a layer an earlier process has left shown is unmounted, and what this one shows stays. */
  async putLeft(id: LayerId): Promise<void> {
    for (const target of this.#targetsOf(id))
      if (this.#references.count(target) === 0)
        await this.#references.release(target, () => this.#mounts.unmount(target))
  }

  /** Unmounts all that is shown of a layer, whoever uses it. */
  async hide(id: LayerId): Promise<void> {
    for (const target of this.#targetsOf(id))
      await this.#references.forget(target, () => this.#mounts.unmount(target))
  }

  #targetsOf(id: LayerId): readonly string[] {
    const names = this.#names().filter((name) => name.startsWith(`${id}-`))
    return names.map((name) => path.join(this.#directory, name))
  }

  #names(): readonly string[] {
    // Each removal of a layer asks, and most drivers never show one so: a look costs less than an error.
    return existsSync(this.#directory) ? readdirSync(this.#directory) : []
  }
}

/** Another process may have mounted something there meanwhile: then the kernel does not let it go. */
function removeUnused(target: string): void {
  try {
    rmdirSync(target)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EBUSY')) throw error
  }
}
