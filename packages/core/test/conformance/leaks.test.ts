/** The runner itself finds what a case leaves behind. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import {
  command,
  type ConformanceCase,
  runCase,
  subjectOf,
  temporaryLab,
  unmet,
} from '../../src/conformance/index.ts'
import { defineDriver, type Driver, type DriverDefinition, driverApiVersion } from '../../src/index.ts'

/** Directories that are never mounted, and a `create` that does one thing more. */
function leaking(leak: (home: string) => unknown): DriverDefinition {
  const no = (): Promise<never> => Promise.reject(new Error('not in this driver'))
  return defineDriver({
    name: 'fake',
    apiVersion: driverApiVersion,
    platforms: ['linux'],
    summary: 'directories, for testing the runner',
    parse: () => ({}),
    probe: () => Promise.resolve({ supported: true, notes: [] }),
    async open({ home }) {
      mkdirSync(home, { recursive: true })
      const driver: Driver = {
        name: 'fake',
        home,
        capabilities: {
          sharing: 'none',
          diff: { native: false, reason: 'there is none' },
          copyUp: 'none',
          maxDepth: 1,
          timestamps: 'nanoseconds',
          names: 'bytes',
          hardLinks: true,
          xattrs: 'none',
          deviceNodes: false,
          ownership: 'any',
          quota: 'none',
          inodeQuota: false,
          mappedOwners: false,
          mountLabel: false,
        },
        async create(id) {
          mkdirSync(path.join(home, id))
          await leak(home)
        },
        createReadWrite: no,
        remove: no,
        get: no,
        put: no,
        exists: no,
        async *layers() {},
        status: no,
        metadata: no,
        async *diff() {},
        changes: no,
        applyDiff: no,
        diffSize: no,
        cleanup: () => Promise.resolve(),
        [Symbol.asyncDispose]: () => Promise.resolve(),
      }
      return driver
    },
  })
}

const creates: ConformanceCase = {
  id: 'leaks/made-up',
  title: 'a layer can be made',
  run: ({ driver, id }) => driver.create(id('layer')),
}

async function outcome(leak: (home: string) => unknown): Promise<string> {
  const result = await runCase(subjectOf(leaking(leak)), creates)
  return `${result.outcome}: ${result.reason ?? ''}`
}

test('a case that leaves nothing passes', async () => {
  expect(await outcome(() => undefined)).toBe('passed: ')
})

test('a file that is still open fails the case', async () => {
  let fd = -1
  const said = await outcome((home) => {
    fd = openSync(path.join(home, 'layer'), 'r')
  })
  closeSync(fd)
  expect(said).toMatch(/^failed: .*left something behind:\n\S+\/fake\/layer is still open$/)
})

test('a process that still runs fails the case', async () => {
  const started: ChildProcess[] = []
  const said = await outcome(() => {
    started.push(spawn('sleep', ['3600'], { stdio: 'ignore' }))
  })
  for (const child of started) {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  expect(said).toMatch(/^failed: .*left something behind:\nprocess \d+ \(sleep\) still runs$/)
})

const noMounts = unmet({ root: true, command: 'mount' })

test.skipIf(noMounts !== undefined)(`a mount fails the case (${noMounts ?? 'as root'})`, async () => {
  // The place takes it down, and would complain if nobody had before.
  const said = await outcome((home) => command('mount', ['--bind', home, path.join(home, 'layer')]))
  expect(said).toMatch(/^failed: .*left something behind:\n\S+\/fake\/layer is still mounted$/)
})

const noLoops = unmet({ root: true, command: 'losetup' })

test.skipIf(noLoops !== undefined)(`a loop device fails the case (${noLoops ?? 'as root'})`, async () => {
  // The lab detaches it.
  const said = await outcome(async (home) => {
    const image = path.join(home, 'image')
    writeFileSync(image, '')
    truncateSync(image, 1 << 20)
    await command('losetup', ['--find', image])
  })
  expect(said).toMatch(
    /^failed: .*left something behind:\n\/dev\/loop\d+ is still attached to \S+\/fake\/image$/,
  )
})

test('the lab refuses a place in which something was left mounted', async ({ skip }) => {
  skip(noMounts !== undefined, noMounts)
  await using lab = temporaryLab()
  const place = await lab.place()
  await command('mount', ['--bind', place.path, place.path])
  await expect(place[Symbol.asyncDispose]()).rejects.toThrow('left mounted')
})
