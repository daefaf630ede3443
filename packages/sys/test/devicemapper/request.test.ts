/** The records of the device mapper's ioctls, against bytes that Linux 7.2 took and gave. */
import { describe, expect, test } from 'vitest'
import {
  decodeAnswer,
  decodeNames,
  decodeTargets,
  encodeMessage,
  encodeRequest,
  encodeTargets,
  FLAG,
  longestName,
} from '../../src/devicemapper/request.ts'

/** An answer with `data` after its header. */
function answer(targetCount: number, data: Buffer): Buffer {
  const header = encodeRequest({ name: 'pool', targetCount })
  return Buffer.concat([header, data])
}

describe('a request', () => {
  test('has its sizes, its flags and its name', () => {
    const request = encodeRequest({ name: 'pool', flags: FLAG.SUSPEND, data: Buffer.from('x\0') })
    expect(request.length).toBe(314)
    expect([0, 4, 8, 12, 16, 20, 28].map((at) => request.readUInt32LE(at))).toEqual([4, 0, 0, 314, 312, 0, 2])
    expect(request.toString('latin1', 48, 53)).toBe('pool\0')
    expect(request.toString('latin1', 312)).toBe('x\0')
  })

  test('has room for the answer', () => {
    const request = encodeRequest({ room: 4096 })
    expect([request.length, request.readUInt32LE(12)]).toEqual([4096, 4096])
  })

  test('takes no name that the kernel would cut', () => {
    expect(() => encodeRequest({ name: 'x'.repeat(longestName) })).not.toThrow()
    expect(() => encodeRequest({ name: 'x'.repeat(longestName + 1) })).toThrow(RangeError)
  })

  test('of a message has a sector before the words', () => {
    expect(encodeMessage('create_thin 1').toString('latin1')).toBe(`${'\0'.repeat(8)}create_thin 1\0`)
  })
})

describe('targets', () => {
  const targets = [
    { start: 0, length: 131_072, type: 'thin-pool', params: '7:0 7:1 128 32768 1 skip_block_zeroing' },
    { start: 131_072, length: 8, type: 'linear', params: '7:0 16' },
  ]

  test('are padded to eight bytes, each with the distance to the next', () => {
    const [encoded] = [encodeTargets(targets)]
    expect(encoded.readUInt32LE(20)).toBe(80)
    expect(encoded.length % 8).toBe(0)
    expect(encoded.toString('latin1', 24, 40)).toBe('thin-pool\0\0\0\0\0\0\0')
  })

  test('come back as they went', () => {
    const encoded = encodeTargets(targets)
    // In an answer, the distance is from the start of them all.
    encoded.writeUInt32LE(encoded.length, 80 + 20)
    expect(decodeTargets(answer(2, encoded))).toEqual(targets)
  })

  test('of a device without a table are none', () => {
    expect(decodeTargets(answer(0, Buffer.alloc(64)))).toEqual([])
  })
})

describe('names', () => {
  function entry(name: string, next: number): Buffer {
    const record = Buffer.alloc(next === 0 ? 40 : next)
    record.writeBigUInt64LE(0xfe00n, 0)
    record.writeUInt32LE(next, 8)
    record.write(name, 12)
    return record
  }

  test('are read one after another', () => {
    const data = Buffer.concat([entry('docker-8:1-2-pool', 32), entry('b', 24), entry('c', 0)])
    expect(decodeNames(answer(0, data))).toEqual(['docker-8:1-2-pool', 'b', 'c'])
  })

  test('are none where there is no device', () => {
    expect(decodeNames(answer(0, Buffer.alloc(40)))).toEqual([])
  })
})

test('an answer tells the device, who has it open, and how it is', () => {
  const buffer = encodeRequest({ name: 'pool', flags: FLAG.ACTIVE_PRESENT | FLAG.DEFERRED_REMOVE })
  buffer.writeInt32LE(2, 24)
  buffer.writeBigUInt64LE(0xfe03n, 40)
  expect(decodeAnswer(buffer)).toMatchObject({ openCount: 2, device: 0xfe03n, flags: 0x2_0020 })
})
