import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { GraphDriverError, type TarStream } from '@graphdriver/core'
import { mount, MS, umount } from '@graphdriver/sys'
import { describe, expect, it } from 'vitest'
import { TreeWorkers } from '../src/index.ts'
import { ThreadPool } from '../src/worker/pool.ts'
import { inChunks, rawTar } from '@graphdriver/core/conformance'
import { isRoot, listTree, openDescriptors, scratch } from './support/scratch.ts'

const remove = { whiteouts: 'remove' } as const

/** An endless tar, which tells when it is left. */
function endless(onLeave: () => void, onFile: (index: number) => void = () => undefined): TarStream {
  return (async function* () {
    try {
      for (let index = 0; ; index++) {
        onFile(index)
        yield rawTar({ name: `f${index % 50}`, data: Buffer.alloc(100_000) }).subarray(0, -1024)
      }
    } finally {
      onLeave()
    }
  })()
}

function treeOfFiles(root: string, count: number, size = 200_000): string {
  for (let index = 0; index < count; index++)
    writeFileSync(path.join(root, `file-${index}`), Buffer.alloc(size, index))
  return root
}

async function bytesOf(stream: TarStream): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe.skipIf(!isRoot)('tree workers (need root)', () => {
  it('rejects an aborted apply with the reason, having left the stream, and uses the thread again', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 1 })
    const controller = new AbortController()
    const reason = new Error('enough')
    let left = false
    const tar = endless(
      () => (left = true),
      (index) => index === 100 && controller.abort(reason),
    )
    const root = dir.directory('root')
    await workers.size(root)
    const open = await openDescriptors()
    await expect(workers.apply(root, tar, { ...remove, signal: controller.signal })).rejects.toBe(reason)
    expect(left).toBe(true)
    expect(await openDescriptors()).toBe(open)
    const found = readdirSync(root).length
    await workers.apply(dir.directory('other'), inChunks(rawTar({ name: 'x' })), remove)
    expect(readdirSync(root)).toHaveLength(found)
    await expect(workers.size(root, { signal: controller.signal })).rejects.toBe(reason)
  })

  it('does not wait for a stream that hangs when it is aborted', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 1 })
    const controller = new AbortController()
    const hanging = (async function* () {
      yield rawTar({ name: 'x' }).subarray(0, 512)
      queueMicrotask(() => controller.abort('stop'))
      await new Promise(() => undefined)
    })()
    const options = { ...remove, signal: controller.signal }
    await expect(workers.apply(dir.directory('root'), hanging, options)).rejects.toBe('stop')
  })

  it('stops and rejects with what the stream throws', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 1 })
    const failure = new Error('connection lost')
    const failing = (async function* () {
      yield rawTar({ name: 'x' }).subarray(0, 512)
      throw failure
    })()
    await expect(workers.apply(dir.directory('root'), failing, remove)).rejects.toBe(failure)
    const notIterable = {
      [Symbol.asyncIterator]: () => {
        throw failure
      },
    }
    await expect(workers.apply(dir.directory('other'), notIterable, remove)).rejects.toBe(failure)
  })

  it('leaves the stream when apply fails', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 1 })
    let left = false
    const tar = (async function* () {
      try {
        yield rawTar({ name: '../x' })
        for (;;) yield Buffer.alloc(65_536)
      } finally {
        left = true
      }
    })()
    await expect(workers.apply(dir.directory('root'), tar, remove)).rejects.toMatchObject({
      code: 'GD_ARCHIVE_BREAKOUT',
    })
    expect(left).toBe(true)
  })

  it('reads the stream to its end, past the end marker', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 1 })
    let read = 0
    const tar = (async function* () {
      yield rawTar({ name: 'x' })
      for (; read < 100; read++) yield Buffer.alloc(100_000, 'trailing')
    })()
    await workers.apply(dir.directory('root'), tar, remove)
    expect(read).toBe(100)
  })

  it('survives a stream of empty chunks and of chunks larger than the ring', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 1 })
    const content = Buffer.alloc(10_000_000, 'content')
    const tar = rawTar({ name: 'big', data: content })
    const stream = (async function* () {
      yield Buffer.alloc(0)
      yield tar
      yield Buffer.alloc(0)
    })()
    const root = dir.directory('root')
    expect(await workers.apply(root, stream, remove)).toMatchObject({ contentBytes: content.length })
  })

  it('stops the thread when a packed stream is left early, and has nothing open then', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 1 })
    const root = treeOfFiles(dir.directory('root'), 60)
    await workers.size(root)
    const open = await openDescriptors()
    for await (const chunk of workers.pack(root)) {
      expect(chunk.length).toBeGreaterThan(0)
      break
    }
    expect(await openDescriptors()).toBe(open)
    expect(await workers.size(root)).toBe(60 * 200_000)
    const never = workers.pack(root)
    expect(never).toBeDefined()
  })

  it('rejects an aborted pack with the reason', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 1 })
    const root = treeOfFiles(dir.directory('root'), 60)
    const controller = new AbortController()
    const reading = (async () => {
      for await (const _chunk of workers.pack(root, { signal: controller.signal })) controller.abort('enough')
    })()
    await expect(reading).rejects.toBe('enough')
  })

  it('runs several calls at once, and lets the rest wait in line', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 2 })
    const results = await Promise.all(
      Array.from({ length: 6 }, (_, index) => {
        const entries = Array.from({ length: 20 }, (_unused, file) => ({
          name: `f${file}`,
          data: `${index}`,
        }))
        return workers.apply(dir.directory(`root-${index}`), inChunks(rawTar(...entries), 333), remove)
      }),
    )
    expect(results.map((result) => result.contentBytes)).toEqual([20, 20, 20, 20, 20, 20])
  })

  it('lets a call in line be aborted without disturbing the others', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 1 })
    const controller = new AbortController()
    const started = Promise.withResolvers<void>()
    const release = Promise.withResolvers<void>()
    const slow = (async function* () {
      started.resolve()
      await release.promise
      yield rawTar({ name: 'x' })
    })()
    const first = workers.apply(dir.directory('first'), slow, remove)
    await started.promise
    const second = workers.size(dir.path, { signal: controller.signal })
    const third = workers.size(dir.directory('empty'))
    controller.abort('gave up')
    await expect(second).rejects.toBe('gave up')
    release.resolve()
    expect(await first).toMatchObject({ entries: 1 })
    expect(await third).toBe(0)
  })

  it('pipes a pack into an apply, and the tree is the same', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 2 })
    const from = dir.directory('from')
    mkdirSync(path.join(from, 'd'))
    treeOfFiles(path.join(from, 'd'), 40)
    const to = dir.directory('to')
    await workers.apply(to, workers.pack(from), remove)
    expect(listTree(to)).toEqual(listTree(from))
    expect((await workers.changes(to, from)).filter((change) => change.kind !== 'modify')).toEqual([])
    expect((await bytesOf(workers.diff(to, from))).length).toBeLessThan(2048)
  })

  it('lets streams wait for each other and for their readers, more of them than it has threads', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 1 })
    const from = dir.directory('from')
    treeOfFiles(from, 10)
    const unread = workers.pack(from)[Symbol.asyncIterator]()
    await unread.next()
    const targets = ['one', 'two', 'three'].map((name) => dir.directory(name))
    await Promise.all(targets.map((to) => workers.apply(to, workers.pack(from), remove)))
    for (const to of targets) expect(listTree(to)).toEqual(listTree(from))
    expect(await workers.size(from)).toBe(await workers.size(targets[0] ?? ''))
    await unread.return?.()
  })

  it('reports system errors of any call with code, syscall and path', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers({ threads: 1 })
    const missing = path.join(dir.path, 'missing')
    const expected = { name: 'SystemError', code: 'ENOENT', errno: -2 }
    await expect(workers.size(missing)).rejects.toMatchObject(expected)
    await expect(bytesOf(workers.pack(missing))).rejects.toMatchObject(expected)
    await workers.remove(missing)
  })

  it('rejects every call after it was disposed, and those that were running', async () => {
    await using dir = await scratch()
    const workers = new TreeWorkers({ threads: 1 })
    const running = workers.apply(
      dir.directory('root'),
      endless(() => undefined),
      remove,
    )
    const ended = Promise.allSettled([running])
    await workers.size(dir.path, { signal: AbortSignal.abort() }).catch(() => undefined)
    await workers[Symbol.asyncDispose]()
    await workers[Symbol.asyncDispose]()
    expect(await ended).toMatchObject([{ status: 'rejected', reason: { code: 'GD_CLOSED' } }])
    await expect(workers.size(dir.path)).rejects.toMatchObject({ code: 'GD_CLOSED' })
  })

  it.each([
    ['idle threads', ''],
    ['a stream that nobody reads on', 'await workers.pack("/usr/bin")[Symbol.asyncIterator]().next()'],
    ['a stream that was left', 'for await (const _ of workers.pack("/usr/bin")) break'],
  ])('ends the process when all is done, with %s', (_title, extra) => {
    const entry = pathToFileURL(path.resolve(import.meta.dirname, '../src/index.ts')).href
    const script = `import { TreeWorkers } from ${JSON.stringify(entry)}
      const workers = new TreeWorkers()
      await workers.size(import.meta.dirname ?? '/etc/apt')
      ${extra}
      console.log('done')`
    const args = ['--input-type=module-typescript', '-e', script]
    const child = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 20_000 })
    expect(child).toMatchObject({ stdout: 'done\n', status: 0, stderr: '' })
  })
})

describe('threads of a pool', () => {
  const entry = new URL('./fixture/faulty-thread.ts', import.meta.url)

  it.each([
    ['exit', 'exit code 7'],
    ['throw', 'thrown outside of a job'],
  ])('that die reject their job and are replaced (%s)', async (job, reason) => {
    await using pool = new ThreadPool(entry, 1)
    const thread = await pool.acquire()
    const failure: unknown = await thread.run(job).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(GraphDriverError)
    expect(failure).toMatchObject({ code: 'GD_WORKER_LOST', details: { reason } })
    const waiting = pool.acquire()
    pool.release(thread)
    const next = await waiting
    expect(next).not.toBe(thread)
    expect(await next.run('work')).toBe('did work')
    pool.release(next)
    expect(pool.size).toBe(1)
  })

  it('are left to the next pool, and not to who waits in one that is disposed', async () => {
    const pool = new ThreadPool(entry, 1)
    const thread = await pool.acquire()
    const waiting = Promise.allSettled([pool.acquire()])
    await pool[Symbol.asyncDispose]()
    expect(await waiting).toMatchObject([{ status: 'rejected', reason: { code: 'GD_CLOSED' } }])
    await using next = new ThreadPool(entry, 1)
    const same = await next.acquire()
    expect(same).toBe(thread)
    expect(await same.run('work')).toBe('did work')
    next.release(same)
  })

  it('removes a small tree before it returns, and the rest of a large one behind the caller', async () => {
    await using dir = await scratch()
    const workers = new TreeWorkers()
    const [small, large] = [dir.directory('small'), dir.directory('large')]
    treeOfFiles(small, 200, 0)
    treeOfFiles(large, 4000, 0)
    let isLarge = false
    await workers.remove(small, { onLarge: () => (isLarge = true) })
    expect([isLarge, existsSync(small)]).toEqual([false, false])
    const { promise: told, resolve } = Promise.withResolvers<void>()
    const gone = workers.remove(large, { onLarge: resolve })
    await told
    expect(existsSync(large)).toBe(true)
    // Nothing is left half removed.
    await workers[Symbol.asyncDispose]()
    await gone
    expect(existsSync(large)).toBe(false)
  })

  it('unmounts what is in the way, when it is told to', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers()
    for (const files of [3, 2000]) {
      const [tree, host] = [dir.directory(`tree-${files}`), dir.directory(`host-${files}`)]
      treeOfFiles(tree, files, 0)
      treeOfFiles(host, 1, 0)
      const mounted = path.join(tree, 'z')
      mkdirSync(mounted)
      mount({ source: host, target: mounted, flags: MS.BIND })
      await expect(workers.remove(tree)).rejects.toMatchObject({ code: 'EBUSY' })
      await workers.remove(tree, { unmounts: true })
      expect([existsSync(tree), readdirSync(host).length]).toEqual([false, 1])
    }
  })

  it('tells of what could not be removed behind the caller', async () => {
    await using dir = await scratch()
    await using workers = new TreeWorkers()
    const large = dir.directory('large')
    treeOfFiles(large, 2000, 0)
    const mounted = path.join(large, 'z')
    mkdirSync(mounted)
    mount({ source: 'none', target: mounted, type: 'tmpfs' })
    try {
      await expect(workers.remove(large, { onLarge: () => undefined })).rejects.toMatchObject({
        code: 'EBUSY',
      })
    } finally {
      umount(mounted)
    }
    await workers.remove(large)
    expect(existsSync(large)).toBe(false)
  })
})
