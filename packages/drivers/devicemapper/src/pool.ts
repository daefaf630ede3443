/** The pool that the devices of layers are in: found, or put together of two files or two devices. */
import { readFileSync } from 'node:fs'
import { GraphDriverError } from '@graphdriver/core'
import { isSystemError } from '@graphdriver/sys'
import {
  activateDevice,
  blockDeviceSize,
  deviceNumber,
  deviceState,
  deviceStatus,
  deviceTable,
  identifyFilesystem,
  loadTable,
  removeDevice,
  resumeDevice,
  sendMessage,
  suspendDevice,
} from '@graphdriver/sys/devicemapper'
import { poolName } from './layout.ts'
import type { DeviceMapperOptions } from './options.ts'
import { blockDevice, growFiles, headOf, makeFiles, type OwnSource, type PoolSource } from './pool-source.ts'
import {
  blockSectorsOf,
  newPoolTarget,
  parsePoolStatus,
  parsePoolTable,
  type PoolStatus,
} from './thin-pool.ts'

const sector = 512
const metadataBlockSectors = 8
/** What is more is not used (THIN_METADATA_MAX_SECTORS of drivers/md/dm-thin-metadata.h). */
const mostMetadataBlocks = 255 * ((1 << 14) - 64)
const failed = 'it has failed; see what the kernel says (dmesg), and check its devices'

export class Pool {
  readonly name: string
  readonly source: PoolSource
  readonly #options: DeviceMapperOptions
  readonly #start: 'to-write' | 'to-read' | 'never'

  /** @param start whether it is put together where it is not there, and how */
  constructor(
    prefix: string,
    source: PoolSource,
    options: DeviceMapperOptions,
    start: 'to-write' | 'to-read' | 'never' = 'to-write',
  ) {
    this.name = source.kind === 'given' ? source.name : poolName(prefix)
    this.source = source
    this.#options = options
    this.#start = start
  }

  /**
   * Puts the pool together, unless it is there, and says how it is.
   *
   * @throws GD_POOL_UNUSABLE
   */
  ensure(): PoolStatus {
    let targets = deviceStatus(this.name)
    if (targets === undefined || targets.length === 0) {
      this.#putTogether()
      targets = deviceStatus(this.name)
    }
    const status = parsePoolStatus(this.name, targets ?? [])
    if (status.mode === 'failed') throw this.#unusable('failed', failed)
    return status
  }

  /**
   * The same for who wants to change something in it.
   *
   * @throws GD_POOL_UNUSABLE, GD_NO_SPACE when its metadata are full
   */
  ensureWritable(): PoolStatus {
    const status = this.ensure()
    if (status.mode !== 'read-only') return status
    if (status.needsCheck)
      throw this.#unusable(
        'needs-check',
        'its metadata have to be checked: unmount its layers, remove it (dmsetup remove), and run thin_check --clear-needs-check-flag, or thin_repair, on its metadata device',
      )
    throw this.noSpace('metadata', status)
  }

  /** `MAJOR:MINOR`. */
  get number(): string {
    const state = deviceState(this.name)
    if (state === undefined) throw this.#unusable('missing', 'it is gone')
    return deviceNumber(state)
  }

  /**
   * Tells the pool something.
   *
   * @throws SystemError, as it answers; GD_POOL_UNUSABLE, GD_NO_SPACE where that is why it does not do it
   */
  tell(...words: readonly (string | number)[]): void {
    try {
      sendMessage(this.name, words.join(' '))
    } catch (error) {
      if (isSystemError(error, 'ENOSPC')) throw this.noSpace('metadata', this.ensure())
      if (isSystemError(error, 'EOPNOTSUPP')) this.ensureWritable()
      if (isSystemError(error, 'EIO')) throw this.#unusable('failed', `${failed}: ${error.message}`, error)
      throw error
    }
  }

  /** Bytes of one of its blocks. */
  blockSize(): number {
    return parsePoolTable(this.name, deviceTable(this.name) ?? []).blockSectors * sector
  }

  /** Whether it is ours, to be taken down when nobody uses it. */
  get mayStop(): boolean {
    return this.source.kind !== 'given' && this.#start !== 'never'
  }

  /** Takes it down, if it is ours and nothing in it is used. @returns whether it is gone */
  stop(): boolean {
    if (!this.mayStop) return false
    try {
      removeDevice(this.name)
      return true
    } catch (error) {
      if (isSystemError(error, 'EBUSY')) return false
      throw error
    }
  }

  /** Takes what its files or devices have got in addition. */
  grow(): void {
    const { source } = this
    if (source.kind === 'given') return
    if (source.kind === 'files') growFiles(source, this.#options)
    const { length, ...table } = parsePoolTable(this.name, deviceTable(this.name) ?? [])
    const sectors = sectorsOf(table.dataDevice)
    const metadata = Math.min(sectorsOf(table.metadataDevice) / metadataBlockSectors, mostMetadataBlocks)
    // To reload the pool holds all that is in it for a moment.
    if (sectors <= length && Math.floor(metadata) <= this.ensure().metadata.total) return
    // Its metadata are looked at when it goes on.
    loadTable(this.name, [
      newPoolTarget(Math.max(sectors, length), table.metadataDevice, table.dataDevice, table.blockSectors),
    ])
    suspendDevice(this.name)
    resumeDevice(this.name)
  }

  noSpace(of: 'data' | 'metadata', status: PoolStatus): GraphDriverError<'GD_NO_SPACE'> {
    const { used, total } = status[of]
    const more = {
      given: 'extend it',
      devices: 'make its devices larger',
      files: of === 'data' ? 'raise dm.loopdatasize' : 'raise dm.loopmetadatasize',
    }[this.source.kind]
    return new GraphDriverError(
      'GD_NO_SPACE',
      `devicemapper: pool ${this.name} has ${total - used} of ${total} blocks of ${of} left, and is to keep ` +
        `${this.reserve(of, status)} free (dm.min_free_space): remove layers, or ${more}`,
      { pool: this.name, of, used, total },
    )
  }

  /** Blocks that are to stay free. */
  reserve(of: 'data' | 'metadata', status: PoolStatus): number {
    const percent = this.#options.minFreeSpace
    return percent === 0 ? 0 : Math.max(1, Math.floor((status[of].total * percent) / 100))
  }

  /** @throws GD_NO_SPACE */
  demandRoom(status: PoolStatus): void {
    for (const of of ['data', 'metadata'] as const) {
      const { used, total } = status[of]
      if (total - used < this.reserve(of, status)) throw this.noSpace(of, status)
    }
  }

  #putTogether(): void {
    const { source } = this
    if (this.#start === 'never') throw this.#unusable('missing', 'it is gone')
    if (source.kind === 'given') {
      const remedy = `activate it (lvchange -ay, or dmsetup create), or name another with dm.thinpooldev`
      throw this.#unusable('missing', `it is not there; ${remedy}`)
    }
    if (source.kind === 'files' && this.#start === 'to-write') makeFiles(source, this.#options)
    // One without a table is what a process left that died.
    removeDevice(this.name)
    try {
      this.#assemble(source)
    } catch (error) {
      if (!isSystemError(error)) throw error
      const why = `it cannot be put together of ${source.data} and ${source.metadata}: ${error.message}`
      throw this.#unusable('devices', `${why}; see that both are there and can be read`, error)
    }
  }

  #assemble(source: OwnSource): void {
    const readOnly = this.#start === 'to-read'
    using data = blockDevice(source, 'data', readOnly)
    using metadata = blockDevice(source, 'metadata', readOnly)
    const known = blockSectorsOf(metadata.path, headOf(metadata.path))
    if (known === 0 && readOnly) throw this.#unusable('missing', `there is none in ${metadata.path} yet`)
    if (known === 0) this.#demandEmpty(data.path)
    const blockSectors = known === 0 ? this.#options.blockSize / sector : known
    const sectors = blockDeviceSize(data.path) / sector
    activateDevice(this.name, [newPoolTarget(sectors, metadata.path, data.path, blockSectors, readOnly)])
  }

  #demandEmpty(device: string): void {
    const found = identifyFilesystem(device)
    if (found !== undefined)
      throw this.#unusable(
        'foreign',
        `${device} holds an ${found.type}; if nobody needs it: wipefs -a ${device}`,
      )
  }

  #unusable(reason: string, why: string, cause?: unknown): GraphDriverError<'GD_POOL_UNUSABLE'> {
    return new GraphDriverError(
      'GD_POOL_UNUSABLE',
      `devicemapper: pool ${this.name}: ${why}`,
      { pool: this.name, reason },
      { cause },
    )
  }
}

/** @param device `MAJOR:MINOR` */
function sectorsOf(device: string): number {
  return Number(readFileSync(`/sys/dev/block/${device}/size`, 'utf8'))
}
