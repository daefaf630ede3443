import {
  checkQuota,
  type DriverOptions,
  GraphDriverError,
  parseBoolean,
  parseQuota,
  parseSize,
  type Quota,
  rejectUnknownOptions,
} from '@graphdriver/core'

/** A device that a volume group with a pool is to be made of, and how. Percentages are 0 for what is usual. */
export interface DirectLvmOptions {
  readonly device: string
  readonly force: boolean
  readonly thinpPercent: number
  readonly thinpMetaPercent: number
  readonly autoExtendPercent: number
  readonly autoExtendThreshold: number
}

/** Docker's options, without their `dm.`. Sizes are in bytes. */
export interface DeviceMapperOptions {
  /** The base device's; undefined where nobody said. */
  readonly baseSize: number | undefined
  readonly loopDataSize: number | undefined
  readonly loopMetadataSize: number | undefined
  /** Whether a pool in files beside the layers is taken where this is known to be production. */
  readonly loopForced: boolean
  readonly filesystem: 'ext4' | 'xfs' | undefined
  readonly mkfsArguments: readonly string[]
  readonly mountOptions: readonly string[]
  readonly dataDevice: string | undefined
  readonly metadataDevice: string | undefined
  /** A device mapper's name. */
  readonly thinPool: string | undefined
  readonly directLvm: DirectLvmOptions | undefined
  readonly blockSize: number
  /** Whether a layer's space is given back to what is below the pool when the layer is removed. */
  readonly discard: boolean
  readonly deferredRemoval: boolean | undefined
  readonly deferredDeletion: boolean | undefined
  /** Percent of the pool's blocks that are kept free. */
  readonly minFreeSpace: number
  readonly xfsNoSpaceRetries: number | undefined
}

const gibibyte = 1024 ** 3

/** Docker's defaults. */
export const defaultBaseSize: number = 10 * gibibyte
export const defaultLoopDataSize: number = 100 * gibibyte
export const defaultLoopMetadataSize: number = 2 * gibibyte
const defaultBlockSize = 64 * 1024
const defaultMinFreeSpace = 10

const known = [
  'basesize',
  'loopdatasize',
  'loopmetadatasize',
  'loop',
  'fs',
  'mkfsarg',
  'mountopt',
  'datadev',
  'metadatadev',
  'thinpooldev',
  'blkdiscard',
  'blocksize',
  'override_udev_sync_check',
  'use_deferred_removal',
  'use_deferred_deletion',
  'min_free_space',
  'xfs_nospace_max_retries',
  'directlvm_device',
  'directlvm_device_force',
  'thinp_percent',
  'thinp_metapercent',
  'thinp_autoextend_percent',
  'thinp_autoextend_threshold',
  'libdm_log_level',
]

/** @throws GD_INVALID_OPTION */
export function parseOptions(given: DriverOptions): DeviceMapperOptions {
  const options = Object.fromEntries(
    Object.entries(given).map(([key, value]) => [key.replace(/^dm\./, ''), value]),
  )
  rejectUnknownOptions('devicemapper', options, known)
  const read = <T>(key: string, parse: (option: string, value: string) => T): T | undefined => {
    const value = options[key]
    return value === undefined ? undefined : parse(key, value)
  }
  // For the library that Docker uses: nothing here logs through it or waits for udev.
  read('libdm_log_level', (option, value) => parseWhole(option, value, 2, 7))
  read('override_udev_sync_check', parseBoolean)
  const [dataDevice, metadataDevice] = [options['datadev'], options['metadatadev']]
  const thinPool = options['thinpooldev']?.replace(/^\/dev\/mapper\//, '')
  const directLvm = parseDirectLvm(options, read)
  const deferredRemoval = read('use_deferred_removal', parseBoolean)
  const deferredDeletion = read('use_deferred_deletion', parseBoolean)
  demand(
    (dataDevice === undefined) === (metadataDevice === undefined),
    dataDevice === undefined ? 'metadatadev' : 'datadev',
    'a pool needs both devices: give dm.datadev and dm.metadatadev',
  )
  demand(
    [dataDevice, thinPool, directLvm].filter((way) => way !== undefined).length < 2,
    'thinpooldev',
    'give one of dm.thinpooldev, dm.datadev with dm.metadatadev, and dm.directlvm_device',
  )
  demand(
    deferredDeletion !== true || deferredRemoval !== false,
    'use_deferred_deletion',
    'deletion is deferred only where removal is: set dm.use_deferred_removal too',
  )
  return {
    baseSize: read('basesize', parseDeviceSize),
    loopDataSize: read('loopdatasize', parseDeviceSize),
    loopMetadataSize: read('loopmetadatasize', parseDeviceSize),
    loopForced: read('loop', parseForce) ?? false,
    filesystem: read('fs', parseFilesystem),
    mkfsArguments: words(options['mkfsarg'], /\s+/),
    mountOptions: words(options['mountopt'], /,/),
    dataDevice,
    metadataDevice,
    thinPool,
    directLvm,
    blockSize: read('blocksize', parseBlockSize) ?? defaultBlockSize,
    discard: read('blkdiscard', parseBoolean) ?? (dataDevice ?? thinPool ?? directLvm) === undefined,
    deferredRemoval,
    deferredDeletion,
    minFreeSpace: read('min_free_space', parsePercent) ?? defaultMinFreeSpace,
    xfsNoSpaceRetries: read('xfs_nospace_max_retries', (option, value) =>
      parseWhole(option, value, 0, 2 ** 32 - 1),
    ),
  }
}

type Read = <T>(key: string, parse: (option: string, value: string) => T) => T | undefined

function parseDirectLvm(options: DriverOptions, read: Read): DirectLvmOptions | undefined {
  const percent = (key: string, most: number): number =>
    read(key, (option, value) => parseWhole(option, value, 0, most)) ?? 0
  const force = read('directlvm_device_force', parseBoolean) ?? false
  const thinpPercent = percent('thinp_percent', 99)
  const thinpMetaPercent = percent('thinp_metapercent', 99)
  const autoExtendPercent = percent('thinp_autoextend_percent', 100)
  const autoExtendThreshold = percent('thinp_autoextend_threshold', 100)
  demand(
    (thinpPercent === 0) === (thinpMetaPercent === 0),
    'thinp_percent',
    'give dm.thinp_percent and dm.thinp_metapercent together, or neither',
  )
  demand(
    thinpPercent + thinpMetaPercent <= 100,
    'thinp_percent',
    'dm.thinp_percent and dm.thinp_metapercent are more than 100 together',
  )
  const device = options['directlvm_device']
  if (device === undefined || device === '') return undefined
  return { device, force, thinpPercent, thinpMetaPercent, autoExtendPercent, autoExtendThreshold }
}

function demand(met: boolean, option: string, message: string): void {
  if (!met) throw invalid(option, undefined, message)
}

function invalid(
  option: string,
  value: string | undefined,
  message: string,
): GraphDriverError<'GD_INVALID_OPTION'> {
  const said = value === undefined ? '' : ` '${value}'`
  const text = `devicemapper: option dm.${option}${said}: ${message}`
  return new GraphDriverError('GD_INVALID_OPTION', text, { option, value })
}

function parseWhole(option: string, value: string, least: number, most: number): number {
  const number = /^\d+$/.test(value) ? Number(value) : Number.NaN
  if (number >= least && number <= most) return number
  throw invalid(option, value, `write a whole number from ${least} to ${most}`)
}

function parsePercent(option: string, value: string): number {
  const number = /^(\d{1,2})%$/.exec(value)?.[1]
  if (number === undefined) throw invalid(option, value, 'write a percentage below 100, such as 10%')
  return Number(number)
}

/** Whole sectors. */
function parseDeviceSize(option: string, value: string): number {
  const bytes = parseSize(option, value)
  if (bytes >= 512) return bytes - (bytes % 512)
  throw invalid(option, value, 'a device needs more than that')
}

/** What the kernel takes: multiples of 64 KiB up to 1 GiB. */
function parseBlockSize(option: string, value: string): number {
  const bytes = parseSize(option, value)
  if (bytes > 0 && bytes % defaultBlockSize === 0 && bytes <= gibibyte) return bytes
  throw invalid(option, value, 'blocks of a pool are a multiple of 64K, and at most 1G')
}

function parseFilesystem(option: string, value: string): 'ext4' | 'xfs' {
  if (value === 'ext4' || value === 'xfs') return value
  throw invalid(option, value, 'unsupported filesystem; write ext4 or xfs')
}

function parseForce(option: string, value: string): boolean {
  if (value === 'force') return true
  throw invalid(option, value, "write 'force' to have the pool in files in production")
}

function words(text: string | undefined, separator: RegExp): readonly string[] {
  return text === undefined ? [] : text.split(separator).filter((word) => word !== '')
}

/** The size of a layer's device, in bytes; undefined for the base device's. @throws GD_INVALID_OPTION */
export function sizeOf(id: string, options: DriverOptions | undefined): number | undefined {
  if (options === undefined) return undefined
  rejectUnknownOptions(`devicemapper: layer ${id}`, options, ['size'])
  return wholeSectors(parseQuota(`devicemapper: layer ${id}`, options).size)
}

/** The same of a size that is to be changed; nothing limits the number of files. @throws GD_INVALID_OPTION */
export function changedSize(id: string, quota: Quota): number | undefined {
  checkQuota(`devicemapper: layer ${id}`, quota)
  const { size, inodes } = quota
  if (inodes !== undefined)
    rejectUnknownOptions(`devicemapper: layer ${id}`, { inodes: String(inodes) }, ['size'])
  return wholeSectors(size)
}

function wholeSectors(size: number | undefined): number | undefined {
  return size === undefined ? undefined : size - (size % 512)
}

/** A layer's device is a snapshot: it is as large as what it was made from, or larger. */
export function tooSmall(id: string, size: number, least: number): GraphDriverError<'GD_INVALID_OPTION'> {
  return new GraphDriverError(
    'GD_INVALID_OPTION',
    `devicemapper: layer ${id}: size ${size} is smaller than the ${least} bytes that it starts with; ` +
      'a device only grows, and what it starts with is set by dm.basesize',
    { option: 'size', value: String(size) },
  )
}
