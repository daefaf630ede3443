/**
 * All image layers of a store in one file, so that opening it does not read five files for each of ten thousand.
 *
 * It repeats what the records say and is never needed: it counts only if the directory of the records has the names that it
 * has and the times that it had, and whoever uses a layer looks at its record. A store with few layers has none.
 *
 * ```
 * graphdriver layers 1 <SHA-256 of the lines below> <inode, mtime and ctime of the directory, in nanoseconds>
 * <ChainID> <DiffID> <ChainID of the parent, or -> <cache-id> <size>      digests without their "sha256:"
 * ```
 */
import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import path from 'node:path'
import { digestHex, parseChainId, parseDiffId, parseLayerId, isGraphDriverError } from '@graphdriver/core'
import { isSystemError, writeAtomically } from '@graphdriver/sys'
import type { Layerdb } from './layerdb.ts'
import type { StoredLayer } from './layer-record.ts'

const magic = 'graphdriver layers 1'
/** Below, the records are read as fast. */
const leastLayers = 256

function indexFile({ directory }: Layerdb): string {
  return path.join(directory, '.graphdriver-layers')
}

/** What tells that names came or went in a directory; undefined where there is none. */
export async function stampOf(directory: string): Promise<string | undefined> {
  try {
    const { ino, mtimeNs, ctimeNs } = await stat(directory, { bigint: true })
    return `${ino} ${mtimeNs} ${ctimeNs}`
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
}

/**
 * The layers that are in a directory of these names.
 *
 * @param stamp of the directory, from before its names were read
 * @returns undefined when the index is not about them
 */
export async function readIndex(
  layerdb: Layerdb,
  names: readonly string[],
  stamp: string | undefined,
): Promise<readonly StoredLayer[] | undefined> {
  if (stamp === undefined || names.length < leastLayers) return undefined
  try {
    const text = await readFile(indexFile(layerdb), 'utf8')
    const end = text.indexOf('\n')
    const body = text.slice(end + 1)
    if (text.slice(0, end) !== head(body, stamp)) return undefined
    const lines = body.split('\n').slice(0, -1)
    const known = new Set(names)
    if (lines.length !== known.size) return undefined
    const layers = lines.map(layerOf)
    return layers.every(({ chainId }) => known.has(digestHex(chainId))) ? layers : undefined
  } catch (error) {
    if (isSystemError(error) || isGraphDriverError(error, 'GD_INVALID_ID')) return undefined
    throw error
  }
}

/** Writes it if it is worth it. A failure leaves none, which does no harm. */
export async function writeIndex(layerdb: Layerdb, layers: Iterable<StoredLayer>): Promise<void> {
  const lines = Array.from(layers, lineOf)
  if (lines.length < leastLayers) return
  try {
    const stamp = await stampOf(layerdb.layers)
    if (stamp === undefined) return
    const body = lines.join('')
    // Not flushed: a torn one has another digest.
    await writeAtomically(indexFile(layerdb), `${head(body, stamp)}\n${body}`, false)
  } catch (error) {
    if (!isSystemError(error)) throw error
  }
}

function head(body: string, stamp: string): string {
  return `${magic} ${createHash('sha256').update(body).digest('hex')} ${stamp}`
}

function lineOf({ chainId, diffId, parent, cacheId, diffSize }: StoredLayer): string {
  const below = parent === undefined ? '-' : digestHex(parent)
  return `${digestHex(chainId)} ${digestHex(diffId)} ${below} ${cacheId} ${diffSize}\n`
}

/** @throws GD_INVALID_ID */
function layerOf(line: string): StoredLayer {
  const [chainId = '', diffId = '', parent = '', cacheId = '', size = ''] = line.split(' ')
  return {
    chainId: parseChainId(`sha256:${chainId}`),
    diffId: parseDiffId(`sha256:${diffId}`),
    parent: parent === '-' ? undefined : parseChainId(`sha256:${parent}`),
    cacheId: parseLayerId(cacheId),
    diffSize: Number(size),
  }
}
