import path from 'node:path'
import {
  type ChainId,
  GraphDriverError,
  type LayerId,
  parseChainId,
  parseLayerId,
  type WritableLayerRecord,
} from '@graphdriver/core'
import { parsed } from './layer-record.ts'
import { readRecordFile } from './record-file.ts'

/** The files of a writable layer's record, but for the driver's names, which a transaction writes first. */
export function mountFiles(parent: ChainId | undefined): Readonly<Record<string, string>> {
  return parent === undefined ? {} : { parent }
}

/** The driver layers of a writable layer, as record files. */
export function mountIdFiles(
  record: Pick<WritableLayerRecord, 'mountId' | 'initId'>,
): Readonly<Record<string, LayerId>> {
  return {
    'mount-id': record.mountId,
    ...(record.initId === undefined ? {} : { 'init-id': record.initId }),
  }
}

/** Docker reads no mount whose ids have another form. */
const mountIdForm = /^[a-f0-9]{64}(-init)?$/

/** @throws GD_INVALID_ID */
function parseMountId(value: string): LayerId {
  if (mountIdForm.test(value)) return parseLayerId(value)
  const expected = 'a mount id (64 hexadecimal digits)'
  throw new GraphDriverError('GD_INVALID_ID', `'${value}' is not ${expected}`, { value, expected })
}

/**
 * Reads the record of one writable layer.
 *
 * @returns `undefined` when there is none
 * @throws GD_STORE_CORRUPT
 */
export async function readMountRecord(directory: string): Promise<WritableLayerRecord | undefined> {
  const [mountId, initId, parent] = await Promise.all([
    readRecordFile(directory, 'mount-id'),
    readRecordFile(directory, 'init-id'),
    readRecordFile(directory, 'parent'),
  ])
  if (mountId === undefined) return undefined
  return {
    name: path.basename(directory),
    mountId: parsed(path.join(directory, 'mount-id'), mountId, parseMountId),
    initId: initId === undefined ? undefined : parsed(path.join(directory, 'init-id'), initId, parseMountId),
    parent: parent === undefined ? undefined : parsed(path.join(directory, 'parent'), parent, parseChainId),
  }
}

/**
 * The name of a writable layer: one path component, of the form that Docker gives containers.
 *
 * @throws GD_INVALID_ID
 */
export function parseMountName(value: string): string {
  try {
    return parseLayerId(value)
  } catch (cause) {
    const expected = 'the name of a writable layer (letters, digits, "_", "." and "-")'
    throw new GraphDriverError(
      'GD_INVALID_ID',
      `'${value}' is not ${expected}`,
      { value, expected },
      { cause },
    )
  }
}
