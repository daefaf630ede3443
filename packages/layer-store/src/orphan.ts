import { readdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { TreeWorkers } from '@graphdriver/archive'
import {
  type CallOptions,
  type Driver,
  type ErrorCode,
  isGraphDriverError,
  type LayerId,
} from '@graphdriver/core'
import { isSystemError, unfinishedFiles } from '@graphdriver/sys'
import { isSharedWithBuildKit } from './dockerd.ts'
import { removingSuffix, transactionPrefix } from './layerdb.ts'
import { mountIdFiles } from './mount-record.ts'
import { endQuarantine, type Quarantined, readQuarantine } from './quarantine.ts'
import { readRecordFile } from './record-file.ts'
import type { StoreContext } from './store-context.ts'
import { idFiles } from './transaction.ts'

/** What nobody needs, and `collect` deletes. */
export interface Leftover {
  /** A layer of the driver; a directory of the store that is no record yet, or no more; a file that was not finished. */
  readonly kind: 'layer' | 'directory' | 'file'
  /** The driver's name of the layer; the path of the directory. */
  readonly name: string
  readonly reason: string
  /** Of a layer, when it was asked for and can be told: its files, of which it may share blocks with other layers. */
  readonly bytes?: number | undefined
}

export interface LeftoverOptions extends CallOptions {
  /** Measures layers, which reads their trees. */
  readonly sizes?: boolean | undefined
}

interface Leftovers {
  /** Driver layers that no record names. */
  readonly layers: readonly LayerId[]
  /** Records that were not finished, or not quite removed. */
  readonly directories: readonly string[]
  /** Files that were being written. */
  readonly files: readonly string[]
  /** Layers that these name. */
  readonly begun: ReadonlySet<string>
}

export async function listLeftovers(
  context: StoreContext,
  options: LeftoverOptions,
): Promise<readonly Leftover[]> {
  const { layers, directories, files, begun } = await findLeftovers(context, options)
  const found: Leftover[] = []
  for (const name of layers) {
    const reason = begun.has(name)
      ? 'it was being made or removed when a process ended'
      : 'no record names it'
    const bytes = options.sizes === true ? await sizeOf(context.driver, name, options) : undefined
    found.push({ kind: 'layer', name, reason, bytes })
  }
  return [
    ...found,
    ...directories.map((name) => ({
      kind: 'directory' as const,
      name,
      reason: name.endsWith(removingSuffix)
        ? 'a removal that was not finished'
        : 'a record that was not finished',
    })),
    ...files.map((name) => ({ kind: 'file' as const, name, reason: 'a file that was not finished' })),
  ]
}

/** @returns undefined for one that is half made, or stands on one that is gone */
async function sizeOf(driver: Driver, id: LayerId, options: CallOptions): Promise<number | undefined> {
  try {
    if (driver.ownFiles === undefined) return await driver.diffSize(id, undefined, options)
    await using files = await driver.ownFiles(id)
    await using workers = new TreeWorkers({ threads: 1 })
    return await workers.size(files.path, options)
  } catch (error) {
    if (isGraphDriverError<ErrorCode>(error) || isSystemError(error)) return undefined
    throw error
  }
}

/** What repairs have replaced, where no record names it any more. */
export async function listQuarantined(context: StoreContext): Promise<readonly Quarantined[]> {
  const named = new Set<LayerId>(context.graph.records().map(({ cacheId }) => cacheId))
  for (const { record } of context.writable.values())
    for (const id of Object.values(mountIdFiles(record))) named.add(id)
  // A repair that was cut short: a writable layer still stands on what was replaced below it.
  const all = await readQuarantine(context.layerdb)
  return all.filter(({ layers }) => !layers.some((id) => named.has(id)))
}

/** Deletes what repairs have replaced. @returns it */
export async function dropQuarantined(
  context: StoreContext,
  options: CallOptions,
): Promise<readonly LayerId[]> {
  const dropped: LayerId[] = []
  for (const quarantined of await listQuarantined(context)) {
    await removeAll(context, quarantined.layers, options.signal)
    await endQuarantine(quarantined)
    dropped.push(...quarantined.layers)
  }
  return dropped
}

/** Driver layers that no record names, sorted. */
export async function findOrphans(context: StoreContext, options: CallOptions): Promise<readonly LayerId[]> {
  return (await findLeftovers(context, options)).layers
}

/** Deletes what a crash left. @returns the driver layers among it */
export async function collectOrphans(
  context: StoreContext,
  options: CallOptions,
): Promise<readonly LayerId[]> {
  const { layers, directories, files } = await findLeftovers(context, options)
  await removeAll(context, layers, options.signal)
  // Only now, since they may be what tells that a layer is an orphan.
  for (const left of [...directories, ...files]) await rm(left, { recursive: true, force: true })
  await context.unflushed.prune((layer) => context.graph.get(layer) !== undefined)
  return layers
}

/**
 * A layer may stand on another orphan, and the driver may refuse to remove that one first; no driver tells what
 * stands on what. So what is refused is tried again, for as long as that gets any further.
 */
async function removeAll(
  context: StoreContext,
  layers: readonly LayerId[],
  signal: AbortSignal | undefined,
): Promise<void> {
  let left = layers
  while (left.length > 0) {
    const refused: { readonly layer: LayerId; readonly error: unknown }[] = []
    for (const layer of left) {
      signal?.throwIfAborted()
      try {
        await context.driver.remove(layer)
      } catch (error) {
        refused.push({ layer, error })
      }
    }
    if (refused.length === left.length) throw refused[0]?.error
    left = refused.map(({ layer }) => layer)
  }
}

async function findLeftovers(context: StoreContext, options: CallOptions): Promise<Leftovers> {
  const { layerdb, driver, pending } = context
  // Layers first and records after: a layer that is not pending when it is seen has its record by now, or never.
  const found: LayerId[] = []
  for await (const layer of driver.layers(options)) {
    if (!pending.has(layer)) found.push(layer)
  }
  const named = new Set<string>()
  const suspects = new Set<string>()
  const directories: string[] = []
  // Damaged records count too: what they name may be all that is left of somebody's work.
  for (const directory of await subdirectories(layerdb.mounts)) {
    await addIds(directory, named)
    // What a writable layer stands on is needed also when the file is lost that says so.
    const mountId = await readRecordFile(directory, 'mount-id')
    if (mountId !== undefined) named.add(`${mountId}-init`)
  }
  for (const directory of await subdirectories(layerdb.layers)) {
    if (!directory.endsWith(removingSuffix)) {
      await addIds(directory, named)
      continue
    }
    directories.push(directory)
    await addIds(directory, suspects)
  }
  for (const directory of await subdirectories(layerdb.temporary)) {
    if (!path.basename(directory).startsWith(transactionPrefix) || pending.has(directory)) continue
    directories.push(directory)
    await addIds(directory, suspects)
  }
  for (const { layers: kept } of await readQuarantine(layerdb)) for (const id of kept) named.add(id)
  // Then only what a transaction or a removal named is sure to be an orphan.
  const onlySuspects = await isSharedWithBuildKit(path.resolve(layerdb.directory, '../../..'))
  const layers = found.filter((layer) => !named.has(layer) && (!onlySuspects || suspects.has(layer)))
  // A writable layer comes before the init layer it stands on, whose name is longer.
  return {
    layers: layers.sort(),
    directories,
    files: await unfinishedFiles(layerdb.directory),
    begun: suspects,
  }
}

async function addIds(directory: string, ids: Set<string>): Promise<void> {
  for (const name of idFiles) {
    const id = await readRecordFile(directory, name)
    if (id !== undefined && id !== '') ids.add(id)
  }
}

async function subdirectories(directory: string): Promise<readonly string[]> {
  try {
    return (await readdir(directory)).map((name) => path.join(directory, name))
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return []
    throw error
  }
}
