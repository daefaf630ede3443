import type { ChainId } from '@graphdriver/core'

/** One thing that is not as it should be. */
export interface Finding {
  /** `damage`: something that was stored is not there, or has changed. `leftover`: something that nobody needs. */
  readonly kind: 'damage' | 'leftover'
  /** What is concerned, such as `layer sha256:…` or `writable layer 'web'`. */
  readonly object: string
  /** Where that is an image layer. */
  readonly layer?: ChainId | undefined
  /** A file of the store, or of the layer as its tar has it. */
  readonly file?: string | undefined
  readonly expected: string
  readonly found: string
  readonly remedy: string
}

/** What brings an image layer back. */
export const reload =
  'graphdriver repair --from an archive of its image, or remove the image and load it again'
