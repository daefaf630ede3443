import type { ChainId, Digest } from '@graphdriver/core'
import type { ImageConfig } from './image-config.ts'

/** An image of a store. */
export interface Image {
  readonly id: Digest
  readonly config: ImageConfig
  /** Its topmost layer, which stands for all of them; `undefined` for an image without layers. */
  readonly chainId: ChainId | undefined
  /** RFC 3339, as its config has it. */
  readonly created: string | undefined
  /** Bytes of all its layers. */
  readonly size: number
}
