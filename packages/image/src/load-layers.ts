import { decompress } from '@graphdriver/archive'
import {
  type CallOptions,
  type ChainId,
  isGraphDriverError,
  type Layer,
  type LayerStore,
  nextChainId,
} from '@graphdriver/core'
import type { SourceImage, SourceLayer } from './image-source.ts'
import { LayerProgress, type ProgressListener } from './load-progress.ts'

export interface LoadLayersOptions extends CallOptions {
  readonly onProgress?: ProgressListener | undefined
  /** Called with each layer at once, so that whoever cleans up has it even if the next one fails. */
  readonly hold: (layer: Layer) => void
}

/**
 * Brings an image's layers into the store, base first.
 *
 * @returns how many were not there before
 */
export async function loadLayers(
  image: SourceImage,
  store: LayerStore,
  options: LoadLayersOptions,
): Promise<number> {
  const count = image.layers.length
  let parent: ChainId | undefined
  let loaded = 0
  for (const [index, source] of image.layers.entries()) {
    options.signal?.throwIfAborted()
    const chain = nextChainId(parent, source.diffId)
    const progress = new LayerProgress(source, index, count, options.onProgress)
    if (store.has(chain)) {
      options.hold(await store.get(chain))
      progress.exists()
    } else {
      progress.start()
      options.hold(await register(source, store, parent, progress, options))
      progress.done()
      loaded += 1
    }
    parent = chain
  }
  return loaded
}

async function register(
  source: SourceLayer,
  store: LayerStore,
  parent: ChainId | undefined,
  progress: LayerProgress,
  options: CallOptions,
): Promise<Layer> {
  const { signal } = options
  try {
    const tar = decompress(progress.count(source.open({ signal })), { signal })
    return await store.register(tar, parent, { diffId: source.diffId, signal })
  } catch (error) {
    throw await explained(error, source, options)
  }
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
