import type { CallOptions, DiffId, Digest } from '@graphdriver/core'
import type { ImageConfig } from './image-config.ts'
import type { ReadOptions } from './image-files.ts'

/** A file or directory with images in it. Disposing it closes what it has open; its images are of no use then. */
export interface ImageSource extends AsyncDisposable {
  readonly format: 'docker-archive' | 'oci-layout'
  readonly path: string
  /**
   * The images that run on the source's platform.
   *
   * @throws GD_IMAGE_INVALID, GD_DIGEST_MISMATCH, GD_IMAGE_PLATFORM
   */
  images(options?: CallOptions): Promise<readonly SourceImage[]>
}

export interface SourceImage {
  /** Digest of the config's bytes. */
  readonly id: Digest
  readonly config: ImageConfig
  readonly configBytes: Uint8Array
  /** Short form, such as `busybox:latest`. */
  readonly names: readonly string[]
  /** Base first. */
  readonly layers: readonly SourceLayer[]
}

export interface SourceLayer {
  readonly diffId: DiffId
  /** Its name in the source, for messages. */
  readonly blob: string
  /** Bytes as stored. */
  readonly size: number
  /** Of the bytes as stored, where the source gives one. */
  readonly digest: Digest | undefined
  /**
   * The bytes as stored, compressed or not.
   *
   * @throws GD_DIGEST_MISMATCH after the last byte, when they are not those of `digest`
   */
  open(options?: ReadOptions): AsyncIterable<Uint8Array>
}
