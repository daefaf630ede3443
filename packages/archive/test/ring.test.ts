import { randomBytes } from 'node:crypto'
import { Worker } from 'node:worker_threads'
import { describe, expect, it } from 'vitest'
import { createRing, resetRing, RingAborted, RingReader, RingWriter } from '../src/worker/ring.ts'

describe('a ring of shared bytes', () => {
  it('carries bytes around its end, in order and unchanged', async () => {
    const ring = createRing(64)
    const writer = new RingWriter(ring)
    const reader = new RingReader(ring)
    const sent = randomBytes(10_000)
    const writing = (async () => {
      for (let at = 0; at < sent.length; at += 37) await writer.write(sent.subarray(at, at + 37))
      writer.end()
    })()
    const received: Buffer[] = []
    for (let chunk = await reader.read(); chunk !== undefined; chunk = await reader.read())
      received.push(chunk)
    await writing
    expect(Buffer.concat(received).equals(sent)).toBe(true)
  })

  it('tells a writer that the reader has left, also one that waits for room', async () => {
    const ring = createRing(16)
    const writer = new RingWriter(ring)
    const waiting = writer.write(Buffer.alloc(100))
    new RingReader(ring).leave()
    expect(await waiting).toBe(false)
    expect(await writer.write(Buffer.alloc(1))).toBe(false)
  })

  it('wakes both sides when it is aborted', async () => {
    const ring = createRing(16)
    const reading = new RingReader(ring).read()
    new RingWriter(ring).abort()
    expect(await reading).toBeUndefined()
    const full = createRing(16)
    const writing = new RingWriter(full).write(Buffer.alloc(100))
    new RingReader(full).abort()
    expect(await writing).toBe(false)
    expect(() => new RingWriter(ring).writeSync(Buffer.alloc(1))).toThrow(RingAborted)
    expect(() => new RingReader(ring).drainSync(() => undefined)).toThrow(RingAborted)
  })

  it('is as new after a reset', async () => {
    const ring = createRing(16)
    const writer = new RingWriter(ring)
    await writer.write(Buffer.alloc(10))
    writer.end()
    writer.abort()
    resetRing(ring)
    await new RingWriter(ring).write(Buffer.from('new'))
    expect((await new RingReader(ring).read())?.toString()).toBe('new')
  })

  it('counts on when its counters overflow', async () => {
    const ring = createRing(64)
    new Int32Array(ring.control).fill(-20, 0, 2)
    const writer = new RingWriter(ring)
    const reader = new RingReader(ring)
    const received: Buffer[] = []
    for (let round = 0; round < 10; round++) {
      await writer.write(Buffer.alloc(10, round))
      received.push((await reader.read()) ?? Buffer.alloc(0))
      if ((received.at(-1)?.length ?? 0) < 10) received.push((await reader.read()) ?? Buffer.alloc(0))
    }
    const expected = Buffer.concat(Array.from({ length: 10 }, (_, round) => Buffer.alloc(10, round)))
    expect(Buffer.concat(received).equals(expected)).toBe(true)
  })

  it('echoes between threads through two small rings without losing a wake-up', async () => {
    const there = createRing(256)
    const back = createRing(128)
    const source = new URL('../src/worker/ring.ts', import.meta.url).href
    const echo = `
      import { workerData } from 'node:worker_threads'
      import { RingReader, RingWriter } from ${JSON.stringify(source)}
      const writer = new RingWriter(workerData.back)
      new RingReader(workerData.there).drainSync((view) => writer.writeSync(view))
      writer.end()`
    const url = new URL(`data:text/javascript,${encodeURIComponent(echo)}`)
    const worker = new Worker(url, { workerData: { there, back } })
    const sent = randomBytes(200_000)
    const writer = new RingWriter(there)
    const writing = (async () => {
      for (let at = 0; at < sent.length; at += 97) await writer.write(sent.subarray(at, at + 97))
      writer.end()
    })()
    const reader = new RingReader(back)
    const received: Buffer[] = []
    for (let chunk = await reader.read(); chunk !== undefined; chunk = await reader.read())
      received.push(chunk)
    await writing
    await worker.terminate()
    expect(Buffer.concat(received).equals(sent)).toBe(true)
  })
})
