/** A disk that stalls, a disk that is full, and more than is usual, under a snapshotter in a process of its own. */
import { once } from 'node:events'
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { mountsBelow } from '@graphdriver/core/conformance'
import { status } from '@grpc/grpc-js'
import { filesystem, need, stallingDisk, stallingDiskRequirements, temporaryDirectory } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { SnapshotterClient } from './client.ts'

const missing = need(...stallingDiskRequirements)
const program = fileURLToPath(new URL('serving.ts', import.meta.url))
/** Milliseconds. */
const budget = 5000

interface Serving extends AsyncDisposable {
  readonly client: SnapshotterClient
  readonly process: ChildProcess
}

const clients = 64

/** Runs an action for each key, by many at a time, as clients that do not know of each other. */
async function byMany(keys: readonly string[], action: (key: string) => Promise<unknown>): Promise<void> {
  const left = keys.values()
  const work = async (): Promise<void> => {
    for (const key of left) await action(key)
  }
  await Promise.all(Array.from({ length: clients }, work))
}

/** Disposing it removes every snapshot, and ends the process. */
async function serving(driver: string, root: string): Promise<Serving> {
  const directory = await temporaryDirectory()
  const socket = path.join(directory.path, 'socket')
  const options = JSON.stringify({ driver, root, socket, budget: { milliseconds: budget } })
  const child = spawn(process.execPath, [program, options], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  const client = new SnapshotterClient(socket)
  return {
    client,
    process: child,
    async [Symbol.asyncDispose]() {
      const closed = once(child, 'close')
      try {
        await removeAll(client)
      } finally {
        client[Symbol.dispose]()
        child.kill('SIGTERM')
        await closed
        await directory[Symbol.asyncDispose]()
      }
    },
  }
}

/** What was answered too late is made all the same, and comes later. */
async function removeAll(client: SnapshotterClient): Promise<void> {
  for (let quiet = 0; quiet < 5; quiet++, await setTimeout(200)) {
    for (const filter of ['kind!=committed', 'kind==committed']) {
      const keys = (await client.list(filter)).flat().map(({ name }) => name)
      if (keys.length > 0) quiet = 0
      await byMany(keys, (key) => timed(client.call('Remove', { key })))
    }
  }
  // Thousands of layers take longer than one call may.
  while ((await timed(client.call('Cleanup', {}))).code !== status.OK);
}

/** What came of a call, and after how long. */
async function timed(
  call: Promise<unknown>,
): Promise<{ readonly code: number; readonly milliseconds: number }> {
  const start = performance.now()
  const code = await call.then(
    () => status.OK,
    (error: { readonly code?: number }) => error.code ?? status.UNKNOWN,
  )
  return { code, milliseconds: performance.now() - start }
}

describe.skipIf(missing !== undefined)(
  `on a real disk (${missing ?? 'as root'})`,
  { timeout: 400_000 },
  () => {
    test.each([
      ['overlay2', 'path'],
      ['vfs', 'served'],
    ] as const)(
      'that stalls, with %s: what is in memory is told at once, all else is answered in time, and later all goes on',
      async (driver, place) => {
        await using disk = await stallingDisk(1024)
        const root = path.join(disk[place], 'root')
        {
          await using served = await serving(driver, root)
          const { client } = served
          await client.call('Prepare', { key: 'base-' })
          await client.call('Commit', { name: 'base', key: 'base-' })
          disk.stall()
          const made = Array.from({ length: 64 }, (_, index) =>
            timed(client.call('Prepare', { key: `box-${index}`, parent: 'base' })),
          )
          const told: number[] = []
          // Several times as long as calls may take, and until the kernel no longer takes what is only to be written later.
          for (
            const until = performance.now() + 4 * budget;
            performance.now() < until;
            await setTimeout(100)
          ) {
            const answers = [
              client.call('Stat', { key: 'base' }),
              client.list('kind==committed'),
              client.call('Check', {}),
            ]
            for (const { code, milliseconds } of await Promise.all(answers.map(timed))) {
              expect(code).toBe(status.OK)
              told.push(milliseconds)
            }
            made.push(timed(client.call('Prepare', { key: `late-${made.length}`, parent: 'base' })))
          }
          const stalled = await Promise.all(made)
          disk.goOn()
          expect(Math.max(...told)).toBeLessThan(budget)
          expect(Math.max(...stalled.map(({ milliseconds }) => milliseconds))).toBeLessThan(2 * budget)
          const codes = new Set(stalled.map(({ code }) => code))
          expect(codes).toContain(status.DEADLINE_EXCEEDED)
          for (const code of codes) expect([status.OK, status.DEADLINE_EXCEEDED]).toContain(code)
          // What was answered too late was done all the same, or not begun.
          await expect
            .poll(
              () => timed(client.call('Prepare', { key: 'after', parent: 'base' })).then(({ code }) => code),
              {
                timeout: 60_000,
              },
            )
            .toBe(status.OK)
        }
        expect(mountsBelow(root)).toEqual([])
      },
    )

    test('that is full: the call says so, what there is stays, and room that is made is used', async () => {
      await using disk = await filesystem('ext4', { sizeMiB: 64, storage: 'memory' })
      await using served = await serving('overlay2', path.join(disk.path, 'root'))
      const { client } = served
      const made: string[] = []
      let code: number = status.OK
      while (code === status.OK && made.length < 20_000) {
        const key = `box-${made.length}`
        ;({ code } = await timed(client.call('Prepare', { key })))
        if (code === status.OK) made.push(key)
      }
      expect(code).toBe(status.RESOURCE_EXHAUSTED)
      expect(
        (await client.list())
          .flat()
          .map(({ name }) => name)
          .toSorted(),
      ).toEqual(made.toSorted())
      for (const key of made.splice(0, 10)) await client.call('Remove', { key })
      await client.call('Cleanup', {})
      expect(await timed(client.call('Prepare', { key: 'again' }))).toMatchObject({ code: status.OK })
    })

    test('10 000 snapshots by 64 clients: all are there, what is in memory is told at once, and few files are open', async () => {
      await using disk = await filesystem('ext4', { sizeMiB: 2048, storage: 'memory' })
      const root = path.join(disk.path, 'root')
      {
        await using served = await serving('overlay2', root)
        const { client } = served
        await client.call('Prepare', { key: 'base-' })
        await client.call('Commit', { name: 'base', key: 'base-' })
        const keys = Array.from({ length: 10_000 }, (_, index) => `box-${index}`)
        let done = false
        const looking = (async () => {
          const told: number[] = []
          for (; !done; await setTimeout(50)) {
            const { code, milliseconds } = await timed(client.call('Stat', { key: 'base' }))
            expect(code).toBe(status.OK)
            told.push(milliseconds)
          }
          return Math.max(...told)
        })()
        await byMany(keys, (key) => client.call('Prepare', { key, parent: 'base' }))
        done = true
        expect(await looking).toBeLessThan(budget)
        const listed = (await client.list('kind==active')).flat().map(({ name }) => name)
        expect(listed.toSorted()).toEqual(keys.toSorted())
        expect((await timed(client.list())).milliseconds).toBeLessThan(budget)
        expect(readdirSync(`/proc/${served.process.pid}/fd`).length).toBeLessThan(512)
      }
      expect(mountsBelow(root)).toEqual([])
    })
  },
)
