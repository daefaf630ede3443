import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { lockStore } from '../src/index.ts'

const linux = process.platform === 'linux'

describe.skipIf(!linux)('the lock of a data root', () => {
  let root: string
  let children: ChildProcess[]

  beforeEach(() => {
    root = mkdtempSync(path.join(tmpdir(), 'gd-lock-'))
    children = []
  })

  afterEach(async () => {
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    rmSync(root, { recursive: true, force: true })
  })

  async function holder(mode: 'shared' | 'exclusive'): Promise<ChildProcess> {
    const child = spawn(process.execPath, [path.join(import.meta.dirname, 'hold-lock.ts'), root, mode], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    children.push(child)
    const [line] = await once(child.stdout, 'data')
    expect(String(line)).toBe('locked\n')
    return child
  }

  it('keeps another process out and names it', async () => {
    const child = await holder('exclusive')
    await expect(lockStore(root, 'exclusive', { wait: false })).rejects.toMatchObject({
      code: 'GD_STORE_LOCKED',
      message: expect.stringContaining(`process ${child.pid}`),
      details: { root },
    })
    await expect(lockStore(root, 'shared', { wait: false })).rejects.toMatchObject({
      code: 'GD_STORE_LOCKED',
    })
  })

  it('is given to a writer while readers come and go, of whom there is always one', async () => {
    let over = false
    const read = async (): Promise<void> => {
      let held = await lockStore(root, 'shared')
      while (!over) {
        // The next comes before this one goes, unless a writer is waiting.
        const next = await lockStore(root, 'shared', { timeout: 100 }).catch(() => undefined)
        await held[Symbol.asyncDispose]()
        held = next ?? (await lockStore(root, 'shared'))
      }
      await held[Symbol.asyncDispose]()
    }
    const reading = read()
    let given = 0
    try {
      for (; given < 3; given++) {
        await pause(50)
        await using lock = await lockStore(root, 'exclusive', { timeout: 5000 })
        void lock
      }
    } finally {
      over = true
      await reading
    }
    expect(given).toBe(3)
  })

  it('is not given while a dockerd has its volumes open there, and keeps dockerd from opening them', async () => {
    mkdirSync(path.join(root, 'volumes'))
    const database = path.join(root, 'volumes/metadata.db')
    writeFileSync(database, '')
    const daemon = spawn('flock', ['--exclusive', database, 'sh', '-c', 'echo open; read _'])
    children.push(daemon)
    await once(daemon.stdout, 'data')
    await expect(lockStore(root, 'exclusive')).rejects.toMatchObject({
      code: 'GD_IN_USE',
      message: expect.stringContaining(`in use by dockerd (process ${daemon.pid})`),
    })
    await using reader = await lockStore(root, 'shared')
    await reader[Symbol.asyncDispose]()
    daemon.stdin.end('\n')
    await once(daemon, 'exit')
    const isFree = async (): Promise<boolean> => {
      const attempt = spawn('flock', ['--exclusive', '--nonblock', database, 'true'])
      return (await once(attempt, 'exit'))[0] === 0
    }
    {
      await using _ = await lockStore(root, 'exclusive')
      expect(await isFree()).toBe(false)
    }
    expect(await isFree()).toBe(true)
  })

  it('goes with a process that is killed', async () => {
    const child = await holder('exclusive')
    const waiting = lockStore(root, 'exclusive')
    child.kill('SIGKILL')
    await using lock = await waiting
    expect(lock).toBeDefined()
  })

  it('is given on when a process lets go', async () => {
    const child = await holder('exclusive')
    const waiting = lockStore(root, 'shared')
    child.stdin?.end()
    await using lock = await waiting
    expect(lock).toBeDefined()
  })

  it('is shared between readers, and keeps writers out until the last has gone', async () => {
    await holder('shared')
    await using mine = await lockStore(root, 'shared', { wait: false })
    expect(mine).toBeDefined()
    await expect(lockStore(root, 'exclusive', { wait: false })).rejects.toMatchObject({
      code: 'GD_STORE_LOCKED',
    })
  })

  it('excludes within one process too, and disposing it twice is once', async () => {
    const first = await lockStore(root, 'exclusive')
    await expect(lockStore(root, 'exclusive', { wait: false })).rejects.toMatchObject({
      code: 'GD_STORE_LOCKED',
    })
    await first[Symbol.asyncDispose]()
    await using second = await lockStore(root, 'exclusive', { wait: false })
    await first[Symbol.asyncDispose]()
    await expect(lockStore(root, 'exclusive', { wait: false })).rejects.toMatchObject({
      code: 'GD_STORE_LOCKED',
    })
    expect(second).toBeDefined()
  })

  it('gives up after the timeout', async () => {
    await using held = await lockStore(root, 'exclusive')
    const start = performance.now()
    await expect(lockStore(root, 'exclusive', { timeout: 120 })).rejects.toMatchObject({
      code: 'GD_STORE_LOCKED',
    })
    expect(performance.now() - start).toBeGreaterThan(110)
    expect(held).toBeDefined()
  })

  it('stops waiting when aborted, with the reason, and has kept the event loop free', async () => {
    await using held = await lockStore(root, 'exclusive')
    const reason = new Error('enough')
    const controller = new AbortController()
    setImmediate(() => {
      controller.abort(reason)
    })
    await expect(lockStore(root, 'exclusive', { signal: controller.signal })).rejects.toBe(reason)
    expect(held).toBeDefined()
  })

  it('is kept under a name that Docker ignores, and names no process that is gone', async () => {
    const child = await holder('exclusive')
    child.kill('SIGKILL')
    await once(child, 'exit')
    await using held = await lockStore(root, 'shared')
    expect(readdirSync(root)).toEqual(['.graphdriver'])
    await expect(lockStore(root, 'exclusive', { wait: false })).rejects.toMatchObject({
      message: expect.stringContaining(`process ${process.pid}`),
    })
    expect(held).toBeDefined()
  })
})
