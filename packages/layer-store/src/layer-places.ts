import type { CallOptions, Driver, LayerId, Mount } from '@graphdriver/core'

/** Where a layer's own files are, and the whole of it, which is mounted when it is first asked for. */
export class LayerPlaces implements AsyncDisposable {
  readonly path: string
  readonly elsewhere: (() => Promise<string>) | undefined
  readonly #own: Mount
  #whole: Mount | undefined

  private constructor(own: Mount, whole: (() => Promise<Mount>) | undefined) {
    this.path = own.path
    this.#own = own
    this.elsewhere = whole === undefined ? undefined : async () => (this.#whole ??= await whole()).path
  }

  static async open(driver: Driver, cacheId: LayerId, options: CallOptions): Promise<LayerPlaces> {
    const whole = (): Promise<Mount> => driver.get(cacheId, options)
    if (driver.ownFiles === undefined) return new LayerPlaces(await whole(), undefined)
    return new LayerPlaces(await driver.ownFiles(cacheId), whole)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#whole?.[Symbol.asyncDispose]()
    await this.#own[Symbol.asyncDispose]()
  }
}
