/** The streams that a tar comes in. */
import assert from 'node:assert/strict'
import type { TarStream } from '../../driver.ts'
import type { CaseBody } from '../case.ts'
import { file } from '../recipe/step.ts'
import { entryBlocks, inChunks, rawTar, type RawEntry } from '../tar/raw-tar.ts'
import { listing } from '../tree/listing.ts'
import { makes } from './applied-layer.ts'

/** A tar that is not one stream of comfortable chunks, and what reads it to its end all the same. */
const streamed: readonly RawEntry[] = [
  { name: 'd/' },
  { name: 'd/f', data: 'content' },
  { name: `d/${'n'.repeat(120)}`, data: 'x'.repeat(600) },
  { name: 'l', type: '2', link: 'd/f' },
]

const streamedListing: readonly string[] = [
  'd/',
  'd/f "content"',
  `d/${'n'.repeat(120)} 600 bytes`,
  'l -> d/f',
]

async function* afterTurns(chunks: TarStream): TarStream {
  for await (const chunk of chunks) {
    await new Promise<void>((resolve) => {
      setImmediate(resolve)
    })
    yield chunk
  }
}

async function* betweenEmpty(chunks: TarStream): TarStream {
  yield Buffer.alloc(0)
  for await (const chunk of chunks) {
    yield chunk
    yield Buffer.alloc(0)
  }
}

/** A source with one buffer, as one that reads from a file descriptor has. */
async function* inOneBuffer(bytes: Buffer): TarStream {
  const buffer = Buffer.alloc(700)
  for (let at = 0; at < bytes.length; at += buffer.length) {
    const length = bytes.copy(buffer, 0, at)
    yield buffer.subarray(0, length)
    buffer.fill(0xff)
  }
}

export const streams: readonly CaseBody[] = [
  {
    name: 'chunks-of-one-byte',
    title: 'a tar that comes in chunks of one byte is the same tar',
    async run(context) {
      await makes(context, () => inChunks(rawTar(...streamed), 1), streamedListing)
    },
  },
  {
    name: 'slow-chunks',
    title: 'a tar whose chunks each come in a later turn of the event loop is the same tar',
    async run(context) {
      await makes(context, () => afterTurns(inChunks(rawTar(...streamed), 300)), streamedListing)
    },
  },
  {
    name: 'empty-chunks',
    title: 'empty chunks in a stream mean nothing',
    async run(context) {
      await makes(context, () => betweenEmpty(inChunks(rawTar(...streamed), 512)), streamedListing)
    },
  },
  {
    name: 'reused-buffer',
    title: 'a source may use the buffer of a chunk again once it is asked for the next',
    async run(context) {
      await makes(context, () => inOneBuffer(rawTar(...streamed)), streamedListing)
    },
  },
  {
    name: 'read-to-the-end',
    title: 'a tar is read to the end of its stream, also past its end marker and whatever follows',
    seen: 'moby: who does not drain leaves the sender blocked',
    async run(context) {
      const { driver, id } = context
      for (const [index, rest] of [
        Buffer.alloc(0),
        Buffer.alloc(10_240),
        Buffer.alloc(300_000, 'x'),
      ].entries()) {
        let ended = false
        const source = async function* (): TarStream {
          yield* inChunks(rawTar({ name: 'f', data: 'f' }), 512)
          yield* inChunks(rest, 1024)
          ended = true
        }
        const made = id(`made${index}`)
        await driver.create(made)
        await driver.applyDiff(made, undefined, source())
        assert.equal(ended, true, `${rest.length} bytes after the end marker`)
        assert.deepEqual(await context.within(made, listing), ['f "f"'])
      }
    },
  },
  {
    name: 'empty-tar',
    title: 'a tar without entries adds nothing: two blocks of zeros, many, or no byte at all',
    seen: 'moby #18170',
    async run(context) {
      const { driver, id } = context
      const lower = await context.layer('lower', undefined, [file('f', 'f')])
      for (const length of [1024, 10_240, 0]) {
        for (const parent of [undefined, lower]) {
          const made = id(`${parent ?? 'base'}-${length}`)
          await driver.create(made, { parent })
          const chunks = afterTurns(inChunks(Buffer.alloc(length), 1024))
          assert.equal(await driver.applyDiff(made, parent, chunks), 0)
          assert.deepEqual(await context.within(made, listing), parent === undefined ? [] : ['f "f"'])
        }
      }
    },
  },
  {
    name: 'no-end-marker',
    title: 'a tar that ends after an entry and without its end marker is whole',
    async run(context) {
      const bytes = Buffer.concat([{ name: 'd/' }, { name: 'f', data: 'f' }].map(entryBlocks))
      await makes(context, () => inChunks(bytes), ['d/', 'f "f"'])
    },
  },
]
