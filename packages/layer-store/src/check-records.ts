/** Whether the records can be read, and what they name is there. */
import { lstat } from 'node:fs/promises'
import path from 'node:path'
import { type CallOptions, isGraphDriverError, type LayerRecord, parseLayerId } from '@graphdriver/core'
import { isSystemError } from '@graphdriver/sys'
import { type Finding, reload } from './finding.ts'
import { layerDirectory, mountDirectory, tarSplitName } from './layerdb.ts'
import { readLayerRecord } from './layer-record.ts'
import { mountIdFiles } from './mount-record.ts'
import { listLeftovers } from './orphan.ts'
import type { SkippedRecord } from './restore.ts'
import type { StoreContext, WritableNode } from './store-context.ts'

/** @param skipped what could not be used when the store was opened */
export async function* checkRecords(
  context: StoreContext,
  skipped: readonly SkippedRecord[],
  options: CallOptions,
): AsyncGenerator<Finding, void, void> {
  const { signal } = options
  for (const record of skipped) yield unreadable(record)
  for (const record of context.graph.records()) {
    signal?.throwIfAborted()
    yield* checkLayer(context, record)
  }
  for (const node of context.writable.values()) {
    signal?.throwIfAborted()
    yield* checkWritable(context, node)
  }
  for (const { kind, name, reason } of await listLeftovers(context, options))
    yield {
      kind: 'leftover',
      object: kind === 'layer' ? `${context.driver.name} layer ${name}` : `${kind} ${path.basename(name)}`,
      file: kind === 'layer' ? undefined : name,
      expected: 'nothing',
      found: reason,
      remedy: 'graphdriver gc',
    }
}

function unreadable({ path: file, reason }: SkippedRecord): Finding {
  return {
    kind: 'damage',
    object: `record ${path.basename(file)}`,
    file,
    expected: 'a record',
    found: reason,
    remedy: `move it away, and load its image again; graphdriver gc then frees what it names`,
  }
}

/** The record is read again: the store may have been opened from its index, which says nothing of what came after. */
async function* checkLayer(
  { driver, layerdb }: StoreContext,
  { chainId, cacheId }: LayerRecord,
): AsyncGenerator<Finding, void, void> {
  const directory = layerDirectory(layerdb, chainId)
  const damage = { kind: 'damage', object: `layer ${chainId}`, layer: chainId, remedy: reload } as const
  try {
    const read = await readLayerRecord(directory, chainId)
    if (read === undefined) {
      yield { ...damage, file: directory, expected: 'a record', found: 'nothing' }
      return
    }
  } catch (error) {
    if (!isGraphDriverError(error, 'GD_STORE_CORRUPT')) throw error
    yield { ...damage, file: error.details.path, expected: 'a record', found: error.message }
    return
  }
  if (!(await driver.exists(cacheId)))
    yield {
      ...damage,
      file: path.join(directory, 'cache-id'),
      expected: `${driver.name} layer ${cacheId}`,
      found: 'nothing',
    }
  const recipe = path.join(directory, tarSplitName)
  // Of a driver that gives back every tar exactly Docker keeps none.
  if ((await sizeOf(recipe)) === 0)
    yield { ...damage, file: recipe, expected: 'a recipe of its tar', found: 'an empty file' }
}

async function* checkWritable(
  { driver, layerdb }: StoreContext,
  { record }: WritableNode,
): AsyncGenerator<Finding, void, void> {
  const { name, mountId, initId } = record
  const unnamed = `${mountId}-init`
  if (initId === undefined && (await driver.exists(parseLayerId(unnamed))))
    yield {
      kind: 'damage',
      object: `writable layer '${name}'`,
      file: path.join(mountDirectory(layerdb, name), 'init-id'),
      expected: unnamed,
      found: 'nothing',
      remedy: `write that into the file`,
    }
  for (const [file, id] of Object.entries(mountIdFiles(record))) {
    if (await driver.exists(id)) continue
    yield {
      kind: 'damage',
      object: `writable layer '${name}'`,
      file: path.join(mountDirectory(layerdb, name), file),
      expected: `${driver.name} layer ${id}`,
      found: 'nothing',
      remedy: 'what was written to it is lost; remove it, and make another',
    }
  }
}

export async function sizeOf(file: string): Promise<number | undefined> {
  try {
    return (await lstat(file)).size
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}
