import { decompress, type DecompressOptions } from '@graphdriver/archive'
import {
  type CallOptions,
  type DiffId,
  isGraphDriverError,
  type Layer,
  type LayerStore,
  type StackedLayer,
  type TarStream,
} from '@graphdriver/core'
import type { ImageSource, SourceImage, SourceLayer } from './image-source.ts'
import { LayerProgress, type ProgressListener } from './load-progress.ts'

export interface LoadLayersOptions extends CallOptions {
  readonly onProgress?: ProgressListener | undefined
  /** As of `decompress`. */
  readonly maxExpansion?: number | undefined
  /** Called with each layer, so that whoever cleans up has it. */
  readonly hold: (layer: Layer) => void
}

/**
 * Brings an image's layers into the store, several at a time where its driver can.
 *
 * @returns how many were not there before
 */
export async function loadLayers(
  image: SourceImage,
  store: LayerStore,
  { hold, onProgress, maxExpansion, signal }: LoadLayersOptions,
): Promise<number> {
  const count = image.layers.length
  let loaded = count
  const stack = image.layers.map((source, index): StackedLayer => {
    const progress = new LayerProgress(source, index, count, onProgress)
    return {
      diffId: source.diffId,
      open: (options) => tarOf(source, { ...options, maxExpansion }, (bytes) => progress.following(bytes)),
      explain: (error) => explained(error, source, { signal }),
      onExisting: () => {
        loaded -= 1
        progress.exists()
      },
    }
  })
  for (const layer of await store.registerStack(stack, undefined, { signal })) hold(layer)
  return loaded
}

/** The uncompressed tars of all layers that a source has, by DiffID. @throws as `ImageSource.images` */
export async function layerOpeners(
  source: ImageSource,
  options: CallOptions = {},
): Promise<ReadonlyMap<DiffId, StackedLayer['open']>> {
  const images = await source.images(options)
  const layers = images.flatMap((image) => image.layers)
  return new Map(layers.map((layer) => [layer.diffId, (call) => tarOf(layer, call)]))
}

/** @param follow sees the bytes as they are stored, and passes them on */
function tarOf(
  layer: SourceLayer,
  options: DecompressOptions,
  follow: (bytes: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array> = (bytes) => bytes,
): TarStream {
  const call = { ...options, transient: true }
  return decompress(follow(layer.open(call)), call)
}

/**
 * A layer that does not unpack, or unpacks to something else, is most often a damaged blob. Where that can be told,
 * tell that, and the symptom as its cause.
 */
async function explained(error: unknown, source: SourceLayer, options: CallOptions): Promise<unknown> {
  const symptoms = [
    'GD_COMPRESSION_INVALID',
    'GD_ARCHIVE_INVALID',
    'GD_ARCHIVE_BREAKOUT',
    'GD_ARCHIVE_UNSUPPORTED',
    'GD_DIGEST_MISMATCH',
  ] as const
  if (source.digest === undefined || !isGraphDriverError(error, ...symptoms)) return error
  const isTold = isGraphDriverError(error, 'GD_DIGEST_MISMATCH') && error.details.subject === source.blob
  if (isTold) return error
  try {
    for await (const _ of source.open(options)) {
      // Only the digest at the end is wanted.
    }
  } catch (damage) {
    if (isGraphDriverError(damage, 'GD_DIGEST_MISMATCH')) {
      damage.cause = error
      return damage
    }
  }
  return error
}
