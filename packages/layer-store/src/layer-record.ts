import { lstat } from 'node:fs/promises'
import path from 'node:path'
import {
  type ChainId,
  type DiffId,
  GraphDriverError,
  isGraphDriverError,
  type LayerId,
  nextChainId,
  parseChainId,
  parseDiffId,
  parseLayerId,
} from '@graphdriver/core'
import { isSystemError } from '@graphdriver/sys'
import { readRecordFile } from './record-file.ts'

/** An image layer as its files tell it. */
export interface StoredLayer {
  readonly chainId: ChainId
  readonly diffId: DiffId
  readonly parent: ChainId | undefined
  readonly cacheId: LayerId
  readonly diffSize: number
}

/** The files of a record, but for the driver's name of the layer, which a transaction writes first. */
export function layerFiles(layer: StoredLayer): Readonly<Record<string, string>> {
  return {
    diff: layer.diffId,
    size: String(layer.diffSize),
    ...(layer.parent === undefined ? {} : { parent: layer.parent }),
  }
}

const sizeForm = /^\d+$/

/**
 * Reads one record.
 *
 * @returns `undefined` when there is none
 * @throws GD_STORE_CORRUPT when a file is missing, does not parse, or contradicts the record's name
 */
export async function readLayerRecord(directory: string, chainId: ChainId): Promise<StoredLayer | undefined> {
  if (!(await isThere(directory))) return undefined
  const [diff, size, cacheId, parent] = await Promise.all([
    readRecordFile(directory, 'diff'),
    readRecordFile(directory, 'size'),
    readRecordFile(directory, 'cache-id'),
    readRecordFile(directory, 'parent'),
  ])
  const diffSize = Number(size)
  if (size === undefined || !sizeForm.test(size) || !Number.isSafeInteger(diffSize)) {
    throw corrupt(path.join(directory, 'size'), size)
  }
  const stored = {
    chainId,
    diffId: parsed(path.join(directory, 'diff'), diff, parseDiffId),
    parent: parent === undefined ? undefined : parsed(path.join(directory, 'parent'), parent, parseChainId),
    cacheId: parsed(path.join(directory, 'cache-id'), cacheId, parseLayerId),
    diffSize,
  }
  const named = nextChainId(stored.parent, stored.diffId)
  if (named !== chainId) {
    const message = `layer record ${directory} describes ${named}; remove it and load the image again`
    throw new GraphDriverError('GD_STORE_CORRUPT', message, { path: directory })
  }
  return stored
}

/** The content of one record file as an id. @throws GD_STORE_CORRUPT */
export function parsed<T>(file: string, content: string | undefined, parse: (value: string) => T): T {
  if (content === undefined || content === '') throw corrupt(file, content)
  try {
    return parse(content)
  } catch (error) {
    if (isGraphDriverError(error, 'GD_INVALID_ID')) throw corrupt(file, content, error)
    throw error
  }
}

async function isThere(directory: string): Promise<boolean> {
  try {
    await lstat(directory)
    return true
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false
    throw error
  }
}

function corrupt(file: string, content: string | undefined, cause?: Error): GraphDriverError {
  const state = content === undefined ? 'is missing' : content === '' ? 'is empty' : 'cannot be parsed'
  return new GraphDriverError(
    'GD_STORE_CORRUPT',
    `${file} ${state}; load the image again`,
    { path: file },
    { cause },
  )
}
