/** The records in `metadata/`, as Docker writes them: compact JSON, each replaced whole. */
import { readdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError } from '@graphdriver/core'
import { isSystemError, syncDirectory, writeAtomically } from '@graphdriver/sys'
import { isRecordName, metadataDirectory, type RecordName } from './layout.ts'

export interface DeviceRecord {
  /** Its number in the pool, of 24 bits. */
  readonly device_id: number
  /** Bytes. */
  readonly size: number
  /** The pool's transaction that made it. */
  readonly transaction_id: number
  /** Of the base device: whether its filesystem was made. Layers stay false. */
  readonly initialized: boolean
  /** It is to go, and could not yet. */
  readonly deleted: boolean
}

export interface DeviceSetRecord {
  readonly next_device_id: number
  readonly BaseDeviceUUID: string
  readonly BaseDeviceFilesystem: string
}

export interface TransactionRecord {
  /** The pool's transaction when it is done; one more than the pool's own while it is not. */
  readonly open_transaction_id: number
  /** The record that is made or deleted; empty for the base device. */
  readonly device_hash: string
  readonly device_id: number
}

/** The largest number of a device in a pool. */
export const mostDevices = 0xff_ffff

const deviceSetFile = 'deviceset-metadata'
const transactionFile = 'transaction-metadata'

/** @throws GD_STORE_CORRUPT */
export function readDevice(home: string, name: RecordName): DeviceRecord | undefined {
  const found = readRecord(home, name)
  if (found === undefined) return undefined
  const { file, fields } = found
  const id = fields['device_id']
  const size = fields['size']
  if (!isCount(id) || id > mostDevices || !isCount(size)) throw corrupt(file)
  const transaction = fields['transaction_id']
  return {
    device_id: id,
    size,
    transaction_id: isCount(transaction) ? transaction : 0,
    initialized: fields['initialized'] === true,
    deleted: fields['deleted'] === true,
  }
}

export function writeDevice(home: string, name: RecordName, record: DeviceRecord): Promise<void> {
  return writeRecord(home, name, record)
}

/** Gives a record another name, in one step. */
export async function renameRecord(home: string, from: RecordName, to: RecordName): Promise<void> {
  const directory = metadataDirectory(home)
  renameSync(path.join(directory, from), path.join(directory, to))
  await syncDirectory(directory)
}

/** Success when there is none. */
export function removeRecord(home: string, name: string): void {
  rmSync(path.join(metadataDirectory(home), name), { force: true })
}

/** The names of all devices' records. */
export function recordNames(home: string): readonly RecordName[] {
  return readdirSync(metadataDirectory(home)).filter((file) => isRecordName(file))
}

/** All devices with their records. */
export function allDevices(home: string): readonly (readonly [name: RecordName, record: DeviceRecord])[] {
  return recordNames(home).flatMap((name) => {
    const record = readDevice(home, name)
    return record === undefined ? [] : [[name, record] as const]
  })
}

export function readDeviceSet(home: string): DeviceSetRecord {
  const fields = readRecord(home, deviceSetFile)?.fields ?? {}
  const text = (name: string): string => (typeof fields[name] === 'string' ? fields[name] : '')
  const next = fields['next_device_id']
  return {
    next_device_id: isCount(next) ? next : 0,
    BaseDeviceUUID: text('BaseDeviceUUID'),
    BaseDeviceFilesystem: text('BaseDeviceFilesystem'),
  }
}

export function writeDeviceSet(home: string, record: DeviceSetRecord): Promise<void> {
  return writeRecord(home, deviceSetFile, record)
}

/** @throws GD_STORE_CORRUPT */
export function readTransaction(home: string): TransactionRecord | undefined {
  const found = readRecord(home, transactionFile)
  if (found === undefined) return undefined
  const { file, fields } = found
  const { open_transaction_id: open, device_hash: hash, device_id: device } = fields
  if (!isCount(open) || typeof hash !== 'string' || !isCount(device)) throw corrupt(file)
  return { open_transaction_id: open, device_hash: hash, device_id: device }
}

export function writeTransaction(home: string, record: TransactionRecord): Promise<void> {
  return writeRecord(home, transactionFile, record)
}

export function removeTransaction(home: string): void {
  removeRecord(home, transactionFile)
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

interface Found {
  readonly file: string
  readonly fields: Readonly<Record<string, unknown>>
}

function readRecord(home: string, name: string): Found | undefined {
  const file = path.join(metadataDirectory(home), name)
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined
    throw error
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw corrupt(file, error)
  }
  if (typeof value !== 'object' || value === null) throw corrupt(file)
  return { file, fields: { ...value } }
}

function writeRecord(home: string, name: string, record: object): Promise<void> {
  return writeAtomically(path.join(metadataDirectory(home), name), JSON.stringify(record))
}

/** What `writeAtomically` calls a file first; Docker passes over it, too. */
const temporaryPrefix = '.tmp'

/** What a process left that died while writing one. Only while no other writes. */
export function reapTemporaryRecords(home: string): void {
  for (const file of readdirSync(metadataDirectory(home)))
    if (file.startsWith(temporaryPrefix)) removeRecord(home, file)
}

function corrupt(file: string, cause?: unknown): GraphDriverError<'GD_STORE_CORRUPT'> {
  return new GraphDriverError(
    'GD_STORE_CORRUPT',
    `devicemapper: ${file} is no record of a device; restore it from a backup, or move it away to give the layer up`,
    { path: file },
    { cause },
  )
}
