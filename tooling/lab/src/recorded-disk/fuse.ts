/**
 * What a filesystem in user space says to the kernel (include/uapi/linux/fuse.h, 7.31), as far as one with a single file needs:
 * pure.
 */
export const OPCODE = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  RELEASEDIR: 29,
  ACCESS: 34,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
} as const

/** The kernel's name for the root; the file is the next. */
export const rootNode = 1
export const fileNode = 2

/** Bytes of one write at the most, in whole pages. */
export const maxWrite = 1024 * 1024
/** Where the kernel's requests have room. */
export const requestLength = maxWrite + 8192

const inHeader = 40
const outHeader = 16
const asyncRead = 1
const bigWrites = 1 << 5
const maxPages = 1 << 22
const secondsValid = 3600n

export interface FuseRequest {
  readonly opcode: number
  readonly unique: bigint
  readonly node: number
  readonly body: Buffer
}

export function parseRequest(bytes: Buffer): FuseRequest {
  return {
    opcode: bytes.readUInt32LE(4),
    unique: bytes.readBigUInt64LE(8),
    node: Number(bytes.readBigUInt64LE(16)),
    body: bytes.subarray(inHeader, bytes.readUInt32LE(0)),
  }
}

/** @param error an errno, or 0 */
export function reply(unique: bigint, error: number, body: Buffer = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.alloc(outHeader)
  bytes.writeUInt32LE(outHeader + body.length, 0)
  bytes.writeInt32LE(-error, 4)
  bytes.writeBigUInt64LE(unique, 8)
  return body.length === 0 ? bytes : Buffer.concat([bytes, body])
}

export function initReply(request: Buffer): Buffer {
  const body = Buffer.alloc(64)
  body.writeUInt32LE(7, 0)
  body.writeUInt32LE(31, 4)
  body.writeUInt32LE(request.readUInt32LE(8), 8)
  body.writeUInt32LE((request.readUInt32LE(12) & (asyncRead | bigWrites | maxPages)) >>> 0, 12)
  body.writeUInt16LE(16, 16)
  body.writeUInt16LE(12, 18)
  body.writeUInt32LE(maxWrite, 20)
  body.writeUInt32LE(1, 24)
  body.writeUInt16LE(maxWrite / 4096, 28)
  return body
}

/** @param size of the file; absent for the root */
function attributes(size: number | undefined): Buffer {
  const body = Buffer.alloc(88)
  body.writeBigUInt64LE(BigInt(size === undefined ? rootNode : fileNode), 0)
  body.writeBigUInt64LE(BigInt(size ?? 0), 8)
  body.writeBigUInt64LE(BigInt(Math.ceil((size ?? 0) / 512)), 16)
  body.writeUInt32LE(size === undefined ? 0o40_700 : 0o100_600, 60)
  body.writeUInt32LE(1, 64)
  body.writeUInt32LE(4096, 80)
  return body
}

export function attributesReply(size: number | undefined): Buffer {
  const head = Buffer.alloc(16)
  head.writeBigUInt64LE(secondsValid, 0)
  return Buffer.concat([head, attributes(size)])
}

export function lookupReply(size: number): Buffer {
  const head = Buffer.alloc(40)
  head.writeBigUInt64LE(BigInt(fileNode), 0)
  head.writeBigUInt64LE(secondsValid, 16)
  head.writeBigUInt64LE(secondsValid, 24)
  return Buffer.concat([head, attributes(size)])
}

/** A handle that means nothing. */
export const openReply: Buffer = Buffer.alloc(16)

export function statfsReply(size: number): Buffer {
  const body = Buffer.alloc(80)
  body.writeBigUInt64LE(BigInt(Math.ceil(size / 4096)), 0)
  body.writeUInt32LE(4096, 40)
  body.writeUInt32LE(255, 44)
  body.writeUInt32LE(4096, 48)
  return body
}

export function writeReply(length: number): Buffer {
  const body = Buffer.alloc(8)
  body.writeUInt32LE(length, 0)
  return body
}

/** Where READ and WRITE are, and how much of it; WRITE's data follows. */
export function rangeOf(body: Buffer): {
  readonly offset: number
  readonly length: number
  readonly data: Buffer
} {
  const length = body.readUInt32LE(16)
  return { offset: Number(body.readBigUInt64LE(8)), length, data: body.subarray(40, 40 + length) }
}
