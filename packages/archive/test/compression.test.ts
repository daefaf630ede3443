import { randomBytes } from 'node:crypto'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { FastInflate, FastZstd } from '@graphdriver/sys'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { compress, decompress, detectCompression } from '../src/index.ts'
import { inChunks } from '@graphdriver/core/conformance'

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const content = Buffer.concat([randomBytes(300_000), Buffer.alloc(3_000_000, 'abc'), randomBytes(1000)])
const empty = Buffer.alloc(0)

const skippable = (body: string): Buffer => {
  const frame = Buffer.alloc(8 + body.length)
  frame.writeUInt32LE(0x184d2a53, 0)
  frame.writeUInt32LE(body.length, 4)
  frame.write(body, 8)
  return frame
}

const formats = { gzip: gzipSync, zstd: zstdCompressSync } as const

describe('compression', () => {
  it('is told by its magic number', () => {
    expect(detectCompression(gzipSync('x'))).toBe('gzip')
    expect(detectCompression(zstdCompressSync('x'))).toBe('zstd')
    expect(detectCompression(skippable('x'))).toBe('zstd')
    expect(detectCompression(Buffer.from('BZh91AY'))).toBe('bzip2')
    expect(detectCompression(Buffer.from('\xfd7zXZ\0', 'latin1'))).toBe('xz')
    expect(detectCompression(Buffer.alloc(512))).toBe('none')
    expect(detectCompression(Buffer.from([0x1f, 0x8b]))).toBe('none')
    expect(detectCompression(empty)).toBe('none')
  })

  it('passes what is not compressed, and what is empty', async () => {
    expect((await bytesOf(decompress(inChunks(content, 3)))).equals(content)).toBe(true)
    expect(await bytesOf(decompress(inChunks(empty)))).toEqual(empty)
    expect(await bytesOf(decompress(inChunks(Buffer.from([0x1f]))))).toEqual(Buffer.from([0x1f]))
  })

  describe.each([
    ['gzip', 'zlib'],
    ['gzip', 'ISA-L'],
    ['zstd', 'zlib'],
    ['zstd', 'libzstd'],
  ] as const)('%s by %s', (format, by) => {
    const pack = formats[format]
    const packed = pack(content)

    beforeEach(({ skip }) => {
      if (by === 'ISA-L') skip(FastInflate.create() === undefined, 'libisal2 is not installed')
      else if (by === 'libzstd') skip(FastZstd.create() === undefined, 'this Node does not show its libzstd')
      else
        for (const library of [FastInflate, FastZstd]) vi.spyOn(library, 'create').mockReturnValue(undefined)
    })
    afterEach(() => void vi.restoreAllMocks())

    it.each([1, 7, 65_536, 10_000_000])('is undone in chunks of %i bytes', async (size) => {
      const small = size < 10 ? pack(content.subarray(0, 20_000)) : packed
      const expected = size < 10 ? content.subarray(0, 20_000) : content
      expect((await bytesOf(decompress(inChunks(small, size)))).equals(expected)).toBe(true)
    })

    it.each([1, 1000, 10_000_000])('joins several members, in chunks of %i bytes', async (size) => {
      const parts = [content.subarray(0, 5000), empty, Buffer.from('x'), content.subarray(0, 9000)]
      const joined = Buffer.concat(parts.map((part) => pack(part)))
      const found = await bytesOf(decompress(inChunks(joined, size)))
      expect(found.equals(Buffer.concat(parts))).toBe(true)
    })

    it('refuses a truncated stream wherever it is cut', async () => {
      const short = pack(content.subarray(0, 2000))
      for (let length = 6; length < short.length; length += 97) {
        await expect(bytesOf(decompress(inChunks(short.subarray(0, length))))).rejects.toMatchObject({
          code: 'GD_COMPRESSION_INVALID',
          details: { format },
        })
      }
    })

    it('refuses damage, and what follows and is no member', async () => {
      const damaged = Buffer.from(packed)
      damaged[packed.length >> 1] = (damaged[packed.length >> 1] ?? 0) ^ 0xff
      const followed = Buffer.concat([packed, Buffer.from('this is not part of it')])
      for (const bytes of [followed, ...(format === 'gzip' ? [damaged] : [])]) {
        await expect(bytesOf(decompress(inChunks(bytes)))).rejects.toMatchObject({
          code: 'GD_COMPRESSION_INVALID',
          cause: expect.any(Error),
        })
      }
    })

    it('passes on what the source throws, untouched', async () => {
      const failure = new Error('connection lost')
      const failing = (async function* () {
        yield packed.subarray(0, 1000)
        throw failure
      })()
      await expect(bytesOf(decompress(failing))).rejects.toBe(failure)
    })

    it('leaves the source when the reader leaves, and reads no further ahead than it must', async () => {
      let read = 0
      let left = false
      const member = pack(randomBytes(100_000))
      const source = (async function* () {
        try {
          for (;;) {
            read++
            yield member
          }
        } finally {
          left = true
        }
      })()
      let got = 0
      for await (const chunk of decompress(source)) {
        got += chunk.length
        if (got > 20_000_000) break
      }
      await new Promise((resolve) => setImmediate(resolve))
      expect(left).toBe(true)
      expect(read).toBeLessThan(240)
    })

    it('stops when it is aborted', async () => {
      const controller = new AbortController()
      const source = (async function* () {
        for (;;) yield pack(Buffer.alloc(1_000_000, 'x'))
      })()
      const reading = (async () => {
        for await (const _chunk of decompress(source, { signal: controller.signal }))
          controller.abort('enough')
      })()
      await expect(reading).rejects.toBe('enough')
    })

    it('uses the memory of chunks again only for who allows it', async () => {
      const chunks: Uint8Array[] = []
      for await (const chunk of decompress(inChunks(pack(Buffer.concat([content, content])), 50_000)))
        chunks.push(chunk)
      expect(Buffer.concat(chunks).equals(Buffer.concat([content, content]))).toBe(true)
      let at = 0
      for await (const chunk of decompress(inChunks(packed, 50_000), { transient: true })) {
        expect(Buffer.from(chunk).equals(content.subarray(at, at + chunk.length))).toBe(true)
        at += chunk.length
      }
      expect(at).toBe(content.length)
    })

    it('tells a reader who takes his time of the damage when he comes back', async () => {
      const reading = (async () => {
        for await (const _chunk of decompress(inChunks(packed.subarray(0, -20), 100_000)))
          await new Promise((resolve) => setTimeout(resolve, 20))
      })()
      await expect(reading).rejects.toMatchObject({ code: 'GD_COMPRESSION_INVALID' })
    })

    it('gives up a source that is silent when it is aborted', async () => {
      const controller = new AbortController()
      const source = (async function* () {
        yield packed.subarray(0, 1000)
        await new Promise(() => undefined)
      })()
      const reading = bytesOf(decompress(source, { signal: controller.signal }))
      setTimeout(() => controller.abort(new Error('enough')), 20)
      await expect(reading).rejects.toThrow('enough')
    })

    it('comes back from compress, with a level', async () => {
      const name = format === 'gzip' ? 'gzip' : 'zstd'
      const fast = await bytesOf(compress(inChunks(content), name, { level: 1 }))
      const best = await bytesOf(compress(inChunks(content), name, { level: 9 }))
      expect(detectCompression(fast)).toBe(format)
      expect(best.length).toBeLessThanOrEqual(fast.length)
      expect((await bytesOf(decompress(inChunks(best)))).equals(content)).toBe(true)
    })
  })

  it('finds damage under a zstd checksum', async () => {
    const packed = await bytesOf(compress(inChunks(content), 'zstd'))
    packed[packed.length - 1] = (packed.at(-1) ?? 0) ^ 1
    await expect(bytesOf(decompress(inChunks(packed)))).rejects.toMatchObject({
      code: 'GD_COMPRESSION_INVALID',
    })
  })

  it.each([1, 5, 1_000_000])('passes over skippable zstd frames, in chunks of %i bytes', async (size) => {
    const frame = zstdCompressSync(Buffer.from('content'))
    const joined = Buffer.concat([
      skippable('a'),
      frame,
      skippable('bcd'),
      skippable(''),
      frame,
      skippable('e'),
    ])
    expect((await bytesOf(decompress(inChunks(joined, size)))).toString()).toBe('contentcontent')
  })

  it.each([1, 1000, 10_000_000])(
    'takes zeros after gzip for padding, in chunks of %i bytes',
    async (size) => {
      const short = content.subarray(0, 5000)
      const padded = Buffer.concat([gzipSync(short), Buffer.alloc(512)])
      expect((await bytesOf(decompress(inChunks(padded, size)))).equals(short)).toBe(true)
    },
  )

  it('stops what expands to more than it may, once that does harm', async () => {
    const bomb = zstdCompressSync(Buffer.alloc(257 * 1024 * 1024))
    const read = async (maxExpansion?: number): Promise<number> => {
      let bytes = 0
      for await (const chunk of decompress(inChunks(bomb, 1000), { maxExpansion, transient: true }))
        bytes += chunk.length
      return bytes
    }
    await expect(read(1000)).rejects.toMatchObject({
      code: 'GD_COMPRESSION_INVALID',
      message: expect.stringContaining('more than 1000 times its size'),
    })
    expect(await read()).toBe(257 * 1024 * 1024)
    expect(await read(1_000_000)).toBe(257 * 1024 * 1024)
  })

  it.each(['BZh91AY&SY', '\xfd7zXZ\0\0\x04'])(
    'refuses bzip2 and xz with the remedy, leaving the source',
    async (head) => {
      let left = false
      const source = (async function* () {
        try {
          yield Buffer.from(head, 'latin1')
          yield Buffer.alloc(10)
        } finally {
          left = true
        }
      })()
      await expect(bytesOf(decompress(source))).rejects.toMatchObject({
        code: 'GD_COMPRESSION_INVALID',
        message: expect.stringContaining('recompress with gzip or zstd'),
      })
      expect(left).toBe(true)
    },
  )
})
