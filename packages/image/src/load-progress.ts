import type { DiffId, Digest } from '@graphdriver/core'
import type { SourceLayer } from './image-source.ts'

/** What a load is doing, for whoever shows it. */
export type LoadProgress =
  | { readonly kind: 'image'; readonly id: Digest; readonly names: readonly string[] }
  | {
      readonly kind: 'layer'
      readonly diffId: DiffId
      /** From 0, base first. */
      readonly index: number
      readonly count: number
      readonly state: 'exists' | 'start' | 'bytes' | 'done'
      /** Stored bytes read so far. */
      readonly bytes?: number
      /** Stored bytes in all. */
      readonly total?: number
    }

export type ProgressListener = (event: LoadProgress) => void

/** Telling more often costs more than it tells. */
const stepBytes = 1024 * 1024

/** Reports on one layer. */
export class LayerProgress {
  readonly #layer: SourceLayer
  readonly #index: number
  readonly #count: number
  readonly #listener: ProgressListener | undefined
  #bytes = 0

  constructor(layer: SourceLayer, index: number, count: number, listener: ProgressListener | undefined) {
    this.#layer = layer
    this.#index = index
    this.#count = count
    this.#listener = listener
  }

  exists(): void {
    this.#tell({ state: 'exists' })
  }

  /** The stream as it is, told of from its beginning to its end. */
  async *following(stream: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    let told = 0
    this.#bytes = 0
    this.#tell({ state: 'start', bytes: 0, total: this.#layer.size })
    for await (const chunk of stream) {
      yield chunk
      this.#bytes += chunk.length
      if (this.#bytes - told < stepBytes) continue
      told = this.#bytes
      this.#tell({ state: 'bytes', bytes: told, total: this.#layer.size })
    }
    this.#tell({ state: 'done', bytes: this.#bytes, total: this.#layer.size })
  }

  #tell(state: {
    readonly state: 'exists' | 'start' | 'bytes' | 'done'
    readonly bytes?: number
    readonly total?: number
  }): void {
    const { diffId } = this.#layer
    this.#listener?.({ kind: 'layer', diffId, index: this.#index, count: this.#count, ...state })
  }
}
