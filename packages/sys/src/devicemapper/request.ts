/**
 * What is said to the device mapper and what it answers (linux/dm-ioctl.h): pure, in both directions.
 *
 * ```
 * struct dm_ioctl        312 bytes: version[3], data_size, data_start, target_count, open_count, flags, event_nr, padding,
 *                        dev, name[128], uuid[129], data[7]
 * struct dm_target_spec  40 bytes: sector_start, length, status, next, target_type[16]; then its parameters, ended by NUL
 * ```
 */

const headerLength = 312
const nameAt = 48
const nameLength = 128
const specLength = 40

/** Bits of `flags`. */
export const FLAG = {
  SUSPEND: 0x2,
  STATUS_TABLE: 0x10,
  ACTIVE_PRESENT: 0x20,
  BUFFER_FULL: 0x100,
  SKIP_LOCKFS: 0x400,
  NOFLUSH: 0x800,
  DATA_OUT: 0x1_0000,
  DEFERRED_REMOVE: 0x2_0000,
} as const

/** A stretch of a device, in sectors of 512 bytes, and what it is made of. */
export interface Target {
  readonly start: number
  readonly length: number
  /** `thin-pool`, `thin`, `linear`, … */
  readonly type: string
  /** What is behind it, or how it is: the target's own words. */
  readonly params: string
}

export interface Request {
  readonly name?: string | undefined
  readonly flags?: number | undefined
  readonly targetCount?: number | undefined
  /** What comes after the header. */
  readonly data?: Buffer | undefined
  /** Bytes for the answer, with the header. */
  readonly room?: number | undefined
}

/** The longest name that the device mapper takes, in bytes. */
export const longestName: number = nameLength - 1

/** @throws RangeError for a name that is too long */
export function encodeRequest({ name = '', flags = 0, targetCount = 0, data, room = 0 }: Request): Buffer {
  if (Buffer.byteLength(name) > longestName) throw new RangeError(`${name}: longer than ${longestName} bytes`)
  const buffer = Buffer.alloc(Math.max(headerLength + (data?.length ?? 0), room))
  // The interface that every kernel since 2.6 speaks.
  buffer.writeUInt32LE(4, 0)
  buffer.writeUInt32LE(buffer.length, 12)
  buffer.writeUInt32LE(headerLength, 16)
  buffer.writeUInt32LE(targetCount, 20)
  buffer.writeUInt32LE(flags, 28)
  buffer.write(name, nameAt)
  data?.copy(buffer, headerLength)
  return buffer
}

export interface Answer {
  readonly version: readonly [major: number, minor: number, patch: number]
  readonly dataStart: number
  readonly targetCount: number
  readonly openCount: number
  readonly flags: number
  /** The kernel's number of the device, as in `st_rdev` of new kernels: minor in 20 bits around the major's. */
  readonly device: bigint
}

export function decodeAnswer(buffer: Buffer): Answer {
  return {
    version: [buffer.readUInt32LE(0), buffer.readUInt32LE(4), buffer.readUInt32LE(8)],
    dataStart: buffer.readUInt32LE(16),
    targetCount: buffer.readUInt32LE(20),
    openCount: buffer.readInt32LE(24),
    flags: buffer.readUInt32LE(28),
    device: buffer.readBigUInt64LE(40),
  }
}

/** A table to load. */
export function encodeTargets(targets: readonly Target[]): Buffer {
  return Buffer.concat(
    targets.map(({ start, length, type, params }) => {
      const words = Buffer.from(`${params}\0`)
      const record = Buffer.alloc(Math.ceil((specLength + words.length) / 8) * 8)
      record.writeBigUInt64LE(BigInt(start), 0)
      record.writeBigUInt64LE(BigInt(length), 8)
      // From this record to the next.
      record.writeUInt32LE(record.length, 20)
      record.write(type, 24, 15)
      words.copy(record, specLength)
      return record
    }),
  )
}

/** A table, or its state, that was asked for. */
export function decodeTargets(buffer: Buffer): readonly Target[] {
  const { dataStart, targetCount } = decodeAnswer(buffer)
  const targets: Target[] = []
  for (let at = dataStart; targets.length < targetCount;) {
    targets.push({
      start: Number(buffer.readBigUInt64LE(at)),
      length: Number(buffer.readBigUInt64LE(at + 8)),
      type: textAt(buffer, at + 24, at + specLength),
      params: textAt(buffer, at + specLength),
    })
    // From the start of them all to the next.
    at = dataStart + buffer.readUInt32LE(at + 20)
  }
  return targets
}

/** A message to a target: struct dm_target_msg, a sector and the words. */
export function encodeMessage(message: string): Buffer {
  return Buffer.concat([Buffer.alloc(8), Buffer.from(`${message}\0`)])
}

/** The names of all devices: struct dm_name_list, each with the distance to the next. */
export function decodeNames(buffer: Buffer): readonly string[] {
  const names: string[] = []
  let at = decodeAnswer(buffer).dataStart
  if (buffer.length < at + 12 || buffer.readBigUInt64LE(at) === 0n) return names
  for (;;) {
    names.push(textAt(buffer, at + 12))
    const next = buffer.readUInt32LE(at + 8)
    if (next === 0) return names
    at += next
  }
}

function textAt(buffer: Buffer, start: number, end = buffer.length): string {
  const nul = buffer.indexOf(0, start)
  return buffer.toString('utf8', start, nul === -1 || nul > end ? end : nul)
}
