/** The layers that are being made, in files that a plugin that is killed leaves behind. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { asLayerId, type Driver, type LayerId } from '@graphdriver/core'
import { isSystemError } from '@graphdriver/sys'

/**
 * dockerd asks again when a plugin dies while it makes a layer, but with an empty body: it takes the layer for one that
 * could not be made, and never names it again. Only a plugin that remembers what it was making can remove it.
 */
export class UnansweredCreations {
  readonly #directory: string
  readonly #underWay = new Set<LayerId>()

  /** @param directory for a file per layer, named after it and holding its parent's id; made when it is needed */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** @param told resolves when the exchange is over, to whether the answer went out; never rejects */
  async during<T>(
    id: LayerId,
    parent: LayerId | undefined,
    told: Promise<boolean>,
    create: () => Promise<T>,
  ): Promise<T> {
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 })
    writeFileSync(this.#file(id), parent ?? '')
    this.#underWay.add(id)
    const creation = create()
    void Promise.all([told, creation.catch(() => undefined)]).then(([answered]) => {
      this.#underWay.delete(id)
      if (answered) rmSync(this.#file(id), { force: true })
    })
    return creation
  }

  /**
   * Removes the layers of which nobody was told. One that holds something has been used since, and stays.
   *
   * @throws whatever the driver throws
   */
  async discard(driver: Driver): Promise<void> {
    for (const id of this.#left()) {
      const parent = asLayerId(readFileSync(this.#file(id), 'utf8'))
      if (await isUntouched(driver, id, parent)) await driver.remove(id)
      rmSync(this.#file(id), { force: true })
    }
  }

  #left(): readonly LayerId[] {
    try {
      const ids = readdirSync(this.#directory).map(asLayerId)
      return ids.filter((id) => id !== undefined).filter((id) => !this.#underWay.has(id))
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return []
      throw error
    }
  }

  #file(id: LayerId): string {
    return path.join(this.#directory, id)
  }
}

async function isUntouched(driver: Driver, id: LayerId, parent: LayerId | undefined): Promise<boolean> {
  return (await driver.exists(id)) && (await driver.changes(id, parent)).length === 0
}
