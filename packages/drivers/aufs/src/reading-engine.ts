/** Shows AUFS's layers to who may write nothing at their home: what overlayfs has to be told is made elsewhere. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Shade, TreeWorkers } from '@graphdriver/archive'
import { GraphDriverError, KeyedMutex, type LayerId } from '@graphdriver/core'
import { isMountPoint, isSystemError, lockDirectory } from '@graphdriver/sys'
import { openStack, type OverlayHost } from '@graphdriver/sys/overlayfs'
import type { Engine, Reading, StackedLayer } from './engine.ts'
import { formOf } from './form.ts'
import { layerPaths } from './layout.ts'
import { fillShade, noShade, readShade, shadedDirectories } from './shade.ts'

interface PlacedShade {
  readonly place: string
  readonly shade: Shade
}

export class ReadingEngine implements Engine, Disposable {
  readonly name = 'overlay'
  readonly nativeDiff: OverlayHost['nativeDiff']
  readonly backing: string
  readonly status: Engine['status'] = []
  readonly #home: string
  readonly #host: OverlayHost
  readonly #workers: TreeWorkers
  /** For what cannot be made at the home. */
  #elsewhere: string | undefined
  /** The shades of layers that have a child. */
  readonly #made = new Map<LayerId, PlacedShade>()
  readonly #turns = new KeyedMutex()

  constructor(home: string, host: OverlayHost, workers: TreeWorkers) {
    this.#home = home
    this.#host = host
    this.#workers = workers
    this.nativeDiff = host.nativeDiff
    this.backing = host.backing
  }

  isMounted(target: string): boolean {
    return isMountPoint(target)
  }

  commit(): Promise<void> {
    return this.#refuse()
  }

  mount(): Promise<boolean> {
    return this.#refuse()
  }

  unmount(): Promise<void> {
    return this.#refuse()
  }

  write<T>(): Promise<T> {
    return this.#refuse()
  }

  /** What processes left that died stays. */
  settle(): Promise<void> {
    return Promise.resolve()
  }

  /** A layer with all below it, mounted nowhere, to be read. @returns its descriptor */
  async show({ id, parents }: StackedLayer): Promise<number> {
    const lower: string[] = []
    for (const layer of [id, ...parents]) {
      const { shade, place } = await this.#turns.exclusively(layer, () => this.#shadeOf(layer, layer !== id))
      lower.push(...shadedDirectories(layerPaths(this.#home, layer).diff, place, shade))
      if (shade.opaque) break
    }
    // Overlayfs wants two.
    if (lower.length === 1) lower.push(this.#nothing())
    const { appendsLower, options } = this.#host
    const relative = lower.map((directory) => path.relative(this.#home, directory))
    return openStack({ home: this.#home, appendsLower }, { lower: relative, options })
  }

  async read({ id }: StackedLayer): Promise<Reading> {
    const lock = await this.#hold(id)
    try {
      const format = this.#formOf(id)
      const release = async (): Promise<void> => lock?.[Symbol.dispose]()
      return { whiteouts: { format, xattr: this.#host.xattr }, [Symbol.asyncDispose]: release }
    } catch (error) {
      lock?.[Symbol.dispose]()
      throw error
    }
  }

  [Symbol.dispose](): void {
    if (this.#elsewhere !== undefined) rmSync(this.#elsewhere, { recursive: true, force: true })
    this.#elsewhere = undefined
  }

  async #shadeOf(id: LayerId, isParent: boolean): Promise<PlacedShade> {
    const made = this.#made.get(id)
    if (made !== undefined) return made
    const { diff, shade: own } = layerPaths(this.#home, id)
    using _ = await this.#hold(id)
    if (this.#formOf(id) !== 'aufs') return { place: own, shade: noShade }
    const known = readShade(own)
    if (known !== undefined) return { place: own, shade: known }
    const place = mkdtempSync(this.#placeFor(`${id}-`))
    const shade = await fillShade(this.#workers, diff, place, this.#host.xattr)
    // What nothing is on may be written to, and then has another.
    if (isParent) this.#made.set(id, { place, shade })
    return { place, shade }
  }

  /** While it is held, nobody changes the format of the layer, if somebody does so at all. */
  async #hold(id: LayerId): Promise<Disposable | undefined> {
    try {
      return await lockDirectory(layerPaths(this.#home, id).lock, 'shared')
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
      throw error
    }
  }

  #formOf(id: LayerId): 'aufs' | 'overlay' {
    const form = formOf(layerPaths(this.#home, id))
    if (form !== 'changing') return form
    throw new GraphDriverError(
      'GD_READ_ONLY',
      `aufs: layer ${id} was being changed from one format to another by a process that died; open the home without readOnly, which puts it right`,
      { object: id },
    )
  }

  #nothing(): string {
    // No layer's id begins so.
    const place = this.#placeFor('.nothing')
    mkdirSync(place, { recursive: true })
    return place
  }

  #placeFor(name: string): string {
    this.#elsewhere ??= mkdtempSync(path.join(tmpdir(), 'graphdriver-aufs-'))
    return path.join(this.#elsewhere, name)
  }

  /** The driver does not ask for what would change something. */
  #refuse(): Promise<never> {
    const object = this.#home
    return Promise.reject(
      new GraphDriverError('GD_READ_ONLY', `aufs: ${object} is open for reading only`, { object }),
    )
  }
}
