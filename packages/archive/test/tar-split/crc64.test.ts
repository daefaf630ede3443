import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import wabt from 'wabt'
import { code } from '../../src/crc64-code.ts'
import { Crc64 } from '../../src/index.ts'

/** The definition, bit by bit. */
function reference(bytes: Uint8Array): string {
  let crc = 2n ** 64n - 1n
  for (const byte of bytes) {
    crc ^= BigInt(byte)
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1n) === 1n ? (crc >> 1n) ^ 0xd800000000000000n : crc >> 1n
  }
  return (crc ^ (2n ** 64n - 1n)).toString(16).padStart(16, '0')
}

function crc64(...pieces: readonly Uint8Array[]): string {
  const crc = new Crc64()
  for (const piece of pieces) crc.update(piece)
  return crc.digest().toString('hex')
}

test('the checksum of tar-split is that of Go', () => {
  expect(crc64(Buffer.from('hi\n'))).toBe('6149981000000000')
  expect(crc64()).toBe('0000000000000000')
  expect(crc64(Buffer.from('a'))).toBe('3420000000000000')
})

test('any bytes, in any pieces, at any alignment', () => {
  const bytes = fc.uint8Array({ maxLength: 2000, size: 'max' })
  fc.assert(
    fc.property(bytes, fc.nat(7), fc.nat(2000), (content, shift, cut) => {
      const moved = Buffer.concat([Buffer.alloc(shift), content]).subarray(shift)
      expect(crc64(moved.subarray(0, cut), moved.subarray(cut))).toBe(reference(content))
    }),
  )
})

test('what is run is what the source says', async () => {
  const compiler = await wabt()
  const source = readFileSync(new URL('../../src/crc64.wat', import.meta.url), 'utf8')
  const { buffer } = compiler.parseWat('crc64.wat', source).toBinary({})
  expect(Buffer.from(buffer).toString('base64')).toBe(code)
})

test('more than the memory holds at a time', () => {
  const bytes = Buffer.alloc(300_001, 'some bytes')
  expect(crc64(bytes)).toBe(reference(bytes))
})
