import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { access } from 'node:fs/promises'
import path from 'node:path'
import { assembleTar, deedOn, type PathDeed, tarLength, TarParser, tellRecipe } from '@graphdriver/archive'
import {
  type CallOptions,
  type ChainId,
  GraphDriverError,
  isGraphDriverError,
  type LayerRecord,
  type TarStream,
} from '@graphdriver/core'
import { isSystemError } from '@graphdriver/sys'
import { LayerPlaces } from './layer-places.ts'
import { layerDirectory, tarSplitName } from './layerdb.ts'
import type { LayerNode } from './layer-graph.ts'
import type { StoreContext } from './store-context.ts'

/**
 * A layer's tar as it was registered, verified against its DiffID at the end.
 *
 * @throws GD_LAYER_CORRUPT while iterating
 */
export async function* layerTar(
  context: StoreContext,
  node: LayerNode,
  options: CallOptions,
): AsyncGenerator<Uint8Array> {
  const { record, parent } = node
  const recipe = path.join(layerDirectory(context.layerdb, record.chainId), tarSplitName)
  // A driver that gives back every tar exactly has no need of a recipe, and Docker then writes none.
  const tar = (await isThere(recipe))
    ? assembled(context, record, recipe, options)
    : context.driver.diff(record.cacheId, parent?.record.cacheId, options)
  const hash = createHash('sha256')
  for await (const chunk of tar) {
    options.signal?.throwIfAborted()
    hash.update(chunk)
    yield chunk
  }
  const found = `sha256:${hash.digest('hex')}`
  if (found !== record.diffId) throw corrupt(record, `its tar has become ${found}`)
}

/** @throws GD_LAYER_CORRUPT */
export async function layerTarSize(
  context: StoreContext,
  node: LayerNode,
  options: CallOptions,
): Promise<number> {
  const recipe = path.join(layerDirectory(context.layerdb, node.record.chainId), tarSplitName)
  if (await isThere(recipe)) return await tarLength(createReadStream(recipe), recipe)
  let bytes = 0
  for await (const chunk of layerTar(context, node, options)) bytes += chunk.length
  return bytes
}

/**
 * What a layer does to a path, from its recipe where it has one: no file of the layer is read then.
 *
 * @throws GD_LAYER_CORRUPT
 */
export async function layerDeed(
  context: StoreContext,
  node: LayerNode,
  file: string,
  options: CallOptions,
): Promise<PathDeed | undefined> {
  const recipe = path.join(layerDirectory(context.layerdb, node.record.chainId), tarSplitName)
  if (await isThere(recipe))
    return await deedOn(file, (handler) => tellRecipe(createReadStream(recipe), recipe, handler))
  return await deedOn(file, async (handler) => {
    const parser = new TarParser(handler)
    for await (const chunk of layerTar(context, node, options)) parser.push(chunk)
  })
}

/** @throws GD_LAYER_NOT_FOUND while iterating, when `ancestor` is not below the layer */
export async function* layerTarFrom(
  context: StoreContext,
  node: LayerNode,
  ancestor: ChainId | undefined,
  options: CallOptions,
): AsyncGenerator<Uint8Array> {
  const { chainId, cacheId } = node.record
  if (ancestor === undefined) {
    yield* context.driver.diff(cacheId, undefined, options)
    return
  }
  let below = node.parent
  while (below !== undefined && below.record.chainId !== ancestor) below = below.parent
  if (below === undefined) {
    const message = `layer ${ancestor} is not below ${chainId}; name one of its ancestors`
    throw new GraphDriverError('GD_LAYER_NOT_FOUND', message, { id: ancestor })
  }
  yield* context.driver.diff(cacheId, below.record.cacheId, options)
}

async function* assembled(
  { driver }: StoreContext,
  record: LayerRecord,
  recipe: string,
  options: CallOptions,
): TarStream & AsyncGenerator<Uint8Array> {
  await using files = await LayerPlaces.open(driver, record.cacheId, options)
  try {
    yield* assembleTar(createReadStream(recipe), files.path, { ...options, elsewhere: files.elsewhere })
  } catch (error) {
    throw translated(record, error)
  }
}

/** Whatever keeps a stored layer from being read back is damage to it, except for what the host may recover from. */
function translated(record: LayerRecord, error: unknown): unknown {
  if (isGraphDriverError(error, 'GD_LAYER_CORRUPT'))
    return corrupt(record, error.message, error.details.path, error)
  if (isGraphDriverError(error, 'GD_ARCHIVE_INVALID'))
    return corrupt(record, error.message, error.details.entry, error)
  if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP')) {
    return corrupt(record, `${error.path ?? 'a file'} is missing`, error.path, error)
  }
  return error
}

function corrupt(record: LayerRecord, what: string, file?: string, cause?: Error): GraphDriverError {
  const message = `layer ${record.chainId} was changed in the store: ${what}; remove it and load the image again`
  return new GraphDriverError('GD_LAYER_CORRUPT', message, { id: record.chainId, path: file }, { cause })
}

async function isThere(file: string): Promise<boolean> {
  try {
    await access(file)
    return true
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false
    throw error
  }
}
