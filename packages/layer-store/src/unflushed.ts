/**
 * Layers whose record may survive a power cut that their data did not: a file each in `<layerdb>/.graphdriver-unflushed`, named by
 * the hex of the ChainID, with the boot in which it was registered. Nothing is lost while that boot lasts, since the kernel has
 * the data; after another one such a layer is verified before it is used.
 */
import { readFileSync } from 'node:fs'
import { mkdir, rm, rmdir, writeFile } from 'node:fs/promises'
import { uptime } from 'node:os'
import path from 'node:path'
import { type ChainId, digestHex, KeyedMutex, parseChainId } from '@graphdriver/core'
import { isSystemError, namesIn, syncDirectory } from '@graphdriver/sys'
import type { Layerdb } from './layerdb.ts'

export class UnflushedLayers {
  readonly #directory: string
  readonly #boot: string
  /**
   * In which boot each was registered, empty where the power cut took that too; undefined until somebody wants to know: a store
   * that waits for no disk has one for each layer, and opening it is not to read them all.
   */
  readonly #boots: Map<ChainId, string | undefined>
  /** Whoever removes the directory and whoever needs it take turns. */
  readonly #turns = new KeyedMutex()

  private constructor(directory: string, boot: string, boots: Map<ChainId, string | undefined>) {
    this.#directory = directory
    this.#boot = boot
    this.#boots = boots
  }

  static async read({ directory }: Layerdb, boot: string = currentBoot()): Promise<UnflushedLayers> {
    const own = path.join(directory, '.graphdriver-unflushed')
    const names = (await namesIn(own)).filter((name) => /^[0-9a-f]{64}$/.test(name))
    return new UnflushedLayers(
      own,
      boot,
      new Map(names.map((name) => [parseChainId(`sha256:${name}`), undefined])),
    )
  }

  /**
   * To be called before the records are visible.
   *
   * @param isFlushed false where not even this is to wait for the disk; it does not come after the records there all the same
   */
  async note(layers: readonly ChainId[], isFlushed: boolean): Promise<void> {
    // First, so that nobody who forgets others takes the directory away.
    for (const layer of layers) this.#boots.set(layer, this.#boot)
    await this.#turns.exclusively(this.#directory, async () => {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      for (const layer of layers) await writeFile(this.#fileOf(layer), this.#boot, { mode: 0o600 })
    })
    if (!isFlushed) return
    for (const changed of [this.#directory, path.dirname(this.#directory)]) await syncDirectory(changed)
  }

  /** Whether the machine was started anew since a layer was registered whose data nobody flushed. */
  isSuspect(layer: ChainId): boolean {
    const boot = this.#bootOf(layer)
    return boot !== undefined && boot !== this.#boot
  }

  /** Those of this boot, as they are when a flush of their filesystem begins: what to `forget` when it has ended. */
  ofThisBoot(): readonly ChainId[] {
    return [...this.#boots.keys()].filter((layer) => this.#bootOf(layer) === this.#boot)
  }

  /** They are on the disk, or gone. */
  async forget(layers: readonly ChainId[]): Promise<void> {
    const known = layers.filter((layer) => this.#boots.has(layer))
    for (const layer of known) {
      await rm(this.#fileOf(layer), { force: true })
      this.#boots.delete(layer)
    }
    if (known.length > 0) await this.#turns.exclusively(this.#directory, () => this.#tidy())
  }

  async #tidy(): Promise<void> {
    if (this.#boots.size > 0) return
    try {
      await rmdir(this.#directory)
    } catch (error) {
      // Another process has noted something there.
      if (!isSystemError(error, 'ENOTEMPTY', 'EEXIST', 'ENOENT')) throw error
    }
  }

  /** Forgets those of which there is no record. */
  async prune(has: (layer: ChainId) => boolean): Promise<void> {
    await this.forget([...this.#boots.keys()].filter((layer) => !has(layer)))
  }

  /** @returns undefined for one that is not noted, or not any more */
  #bootOf(layer: ChainId): string | undefined {
    const known = this.#boots.get(layer)
    if (known !== undefined || !this.#boots.has(layer)) return known
    try {
      const boot = readFileSync(this.#fileOf(layer), 'utf8')
      this.#boots.set(layer, boot)
      return boot
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error
      // Another process has had it flushed meanwhile.
      this.#boots.delete(layer)
      return undefined
    }
  }

  #fileOf(layer: ChainId): string {
    return path.join(this.#directory, digestHex(layer))
  }
}

/** What is another after each start of the machine. */
function currentBoot(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ENOTDIR', 'EACCES')) throw error
    // Elsewhere: the minute in which it was started. One that is taken for another costs a look at a few layers.
    return String(Math.round((Date.now() / 1000 - uptime()) / 60))
  }
}
