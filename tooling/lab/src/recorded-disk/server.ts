/**
 * `node server.ts IMAGE TARGET LOG`: shows one file, `disk`, whose bytes are IMAGE's, and writes down what is written to it and
 * when it is flushed. Ends when TARGET is unmounted.
 */
import { fstatSync, openSync, readSync, writeSync } from 'node:fs'
import { argv } from 'node:process'
import { isSystemError, mount } from '@graphdriver/sys'
import {
  attributesReply,
  fileNode,
  initReply,
  lookupReply,
  OPCODE,
  openReply,
  parseRequest,
  rangeOf,
  reply,
  requestLength,
  statfsReply,
  writeReply,
} from './fuse.ts'
import { WriteLog } from './log.ts'

const [image = '', target = '', logFile = ''] = argv.slice(2)
const disk = openSync(image, 'r+')
const { size } = fstatSync(disk)
using log = new WriteLog(logFile)
const device = openSync('/dev/fuse', 'r+')
mount({ source: 'recorded', target, type: 'fuse', data: `fd=${device},rootmode=40000,user_id=0,group_id=0` })

const ENOENT = 2
const EIO = 5
const ENOSYS = 38
/** The kernel wants no answer. */
const silent: ReadonlySet<number> = new Set([OPCODE.FORGET, OPCODE.BATCH_FORGET, OPCODE.INTERRUPT])

function answer({ opcode, unique, node, body }: ReturnType<typeof parseRequest>): Buffer {
  switch (opcode) {
    case OPCODE.INIT:
      return reply(unique, 0, initReply(body))
    case OPCODE.LOOKUP:
      return body.toString('utf8') === 'disk\0' ? reply(unique, 0, lookupReply(size)) : reply(unique, ENOENT)
    case OPCODE.GETATTR:
    case OPCODE.SETATTR:
      return reply(unique, 0, attributesReply(node === fileNode ? size : undefined))
    case OPCODE.OPEN:
    case OPCODE.OPENDIR:
      return reply(unique, 0, openReply)
    case OPCODE.READ: {
      const { offset, length } = rangeOf(body)
      const bytes = Buffer.alloc(length)
      return reply(unique, 0, bytes.subarray(0, readSync(disk, bytes, 0, length, offset)))
    }
    case OPCODE.WRITE: {
      const { offset, length, data } = rangeOf(body)
      log.write(offset, data)
      writeSync(disk, data, 0, length, offset)
      return reply(unique, 0, writeReply(length))
    }
    case OPCODE.FSYNC:
      log.flush()
      return reply(unique, 0)
    case OPCODE.STATFS:
      return reply(unique, 0, statfsReply(size))
    case OPCODE.FLUSH:
    case OPCODE.RELEASE:
    case OPCODE.RELEASEDIR:
    case OPCODE.ACCESS:
    case OPCODE.DESTROY:
      return reply(unique, 0)
    default:
      return reply(unique, ENOSYS)
  }
}

const room = Buffer.alloc(requestLength)
for (;;) {
  try {
    const length = readSync(device, room, 0, room.length, null)
    const request = parseRequest(room.subarray(0, length))
    if (silent.has(request.opcode)) continue
    let bytes: Buffer
    try {
      bytes = answer(request)
    } catch (error) {
      console.error(error)
      bytes = reply(request.unique, EIO)
    }
    writeSync(device, bytes)
  } catch (error) {
    // Unmounted; ENOENT is of a request that was given up meanwhile.
    if (isSystemError(error, 'ENODEV')) break
    if (!isSystemError(error, 'ENOENT', 'EINTR', 'EAGAIN')) throw error
  }
}
