/** A tar whose small files two threads make gives what one thread makes of it. */
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { inChunks, type RawEntry, rawTar } from '@graphdriver/core/conformance'
import { isSystemError, mount, umount } from '@graphdriver/sys'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { applyTar } from '../src/apply/apply.ts'
import type { MakeFilesResult } from '../src/apply/make-files.ts'
import { TreeWorkers, type WhiteoutMode } from '../src/index.ts'
import { createRing, RingWriter, type SharedRing } from '../src/worker/ring.ts'
import { WorkerThread } from '../src/worker/worker-thread.ts'
import type { LateRequest } from './fixture/late-thread.ts'
import { describeTree } from './support/describe-tree.ts'
import { inMemory, isRoot, openDescriptors } from './support/scratch.ts'

const other = new WorkerThread(new URL('fixture/late-thread.ts', import.meta.url))
afterAll(() => other.terminate())
beforeAll(async () => {
  const ring = createRing(1024)
  new RingWriter(ring).end()
  await other.run(order({ ring, root: '', milliseconds: 0 }))
})

function order(input: LateRequest): unknown {
  return { kind: 'makeFiles', input }
}

interface Outcome {
  readonly tree: readonly string[]
  readonly bytes: number | undefined
  readonly error: string | undefined
  readonly handedBytes: number
}

function outcomeOf(root: string, apply: () => number, side?: SharedRing): Outcome {
  let bytes: number | undefined
  let error: Error | undefined
  try {
    bytes = apply()
  } catch (caught) {
    error = caught as Error
  }
  const words = error === undefined ? undefined : String(error).replaceAll(root, '')
  const handedBytes = side === undefined ? 0 : (new Int32Array(side.control)[0] ?? 0)
  return { tree: error === undefined ? describeTree(root) : [], bytes, error: words, handedBytes }
}

function byOne(root: string, tar: Buffer, whiteouts: WhiteoutMode): Outcome {
  return outcomeOf(
    root,
    () =>
      applyTar(
        { root, whiteouts },
        (take) => take(tar),
        () => undefined,
      ).contentBytes,
  )
}

/** @param milliseconds for which the second thread does nothing */
async function byTwo(
  root: string,
  tar: Buffer,
  whiteouts: WhiteoutMode,
  milliseconds: number,
): Promise<Outcome> {
  const side = createRing(256 * 1024)
  const made = other.run<MakeFilesResult>(order({ ring: side, root, milliseconds }))
  const outcome = made.catch((error: unknown) => error)
  while (!new RingWriter(side).joined) await setTimeout(1)
  const found = outcomeOf(
    root,
    () =>
      applyTar(
        { root, whiteouts, side },
        (take) => take(tar),
        () => undefined,
      ).contentBytes,
    side,
  )
  const end = await outcome
  if (found.error === undefined) {
    const { replacedBytes } = end as MakeFilesResult
    return { ...found, bytes: (found.bytes ?? 0) - replacedBytes }
  }
  // A thread that was stopped has failed with nothing.
  return found.error.includes('RingAborted') ? { ...found, error: String(end).replaceAll(root, '') } : found
}

const names = fc.constantFrom('a', 'b', 'c')
const places = fc
  .array(fc.constantFrom('d', 'e', 'l'), { maxLength: 3 })
  .map((parts) => parts.map((part) => `${part}/`).join(''))
const entry: fc.Arbitrary<RawEntry> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      name: fc.tuple(places, names).map((parts) => parts.join('')),
      data: fc.string({ maxLength: 40 }),
      uid: fc.nat({ max: 3 }),
      mode: fc.constantFrom(0o644, 0o4755, 0o400),
      mtime: fc.constantFrom('1', '1600000000.25'),
    }),
  },
  { weight: 4, arbitrary: places.map((place) => ({ name: `${place}d/`, mtime: '5' })) },
  {
    weight: 2,
    arbitrary: fc.record({
      name: fc.tuple(places, fc.constantFrom('l', 'a')).map((parts) => parts.join('')),
      type: fc.constant('2'),
      link: fc.constantFrom('d', '/d/d', 'a'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      name: fc.tuple(places, names).map((parts) => parts.join('')),
      type: fc.constant('1'),
      link: fc.tuple(places, names).map((parts) => parts.join('')),
    }),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(places, fc.constantFrom('.wh.a', '.wh.d', '.wh..wh..opq'))
      .map((parts) => ({ name: parts.join('') })),
  },
  { weight: 1, arbitrary: places.map((place) => ({ name: `${place}${'n'.repeat(300)}`, data: 'x' })) },
)

/** Of two entries that fail, each thread may meet another first. */
function sort({ error }: Pick<Outcome, 'error'>): 'an error' | undefined {
  return error?.includes('Error: ') === true ? 'an error' : undefined
}

describe.skipIf(!isRoot)('small files by two threads (needs root)', () => {
  it('any tar gives the same tree, the same sizes and the same errors', { timeout: 120_000 }, async () => {
    await using dir = await inMemory()
    let handed = 0
    const modes = fc.constantFrom<WhiteoutMode>('remove', { format: 'overlay', xattr: 'trusted' })
    await fc.assert(
      fc.asyncProperty(
        fc.array(entry, { minLength: 1, maxLength: 40 }),
        modes,
        async (entries, whiteouts) => {
          const tar = rawTar({ name: 'd/' }, { name: 'e/' }, ...entries)
          const [one, two] = [dir.directory('one'), dir.directory('two')]
          try {
            const { handedBytes, ...found } = await byTwo(two, tar, whiteouts, handed % 3 === 0 ? 0 : 10)
            const { handedBytes: _, ...expected } = byOne(one, tar, whiteouts)
            handed += handedBytes
            expect({ ...found, error: sort(found) }).toEqual({ ...expected, error: sort(expected) })
          } finally {
            for (const root of [one, two]) rmSync(root, { recursive: true })
          }
        },
      ),
      { numRuns: 400 },
    )
    expect(handed).toBeGreaterThan(10_000)
  })

  it('more directories than are kept open, and files of all sizes', async () => {
    await using dir = await inMemory()
    const entries: RawEntry[] = []
    for (let index = 0; index < 400; index++) {
      const place = `d${index}/`
      entries.push({ name: place, mtime: '7' })
      for (let file = 0; file < 6; file++)
        entries.push({ name: `${place}f${file}`, data: Buffer.alloc((index * 97 * file) % 40_000, file) })
      // Back to one that may have been closed meanwhile.
      entries.push({ name: `d${index >> 1}/late-${index}`, data: place })
    }
    const tar = rawTar(...entries)
    const open = await openDescriptors()
    const found = await byTwo(dir.directory('two'), tar, 'remove', 300)
    const { handedBytes: _, ...expected } = byOne(dir.directory('one'), tar, 'remove')
    expect(found).toMatchObject(expected)
    expect(found.handedBytes).toBeGreaterThan(100_000)
    expect(await openDescriptors()).toBe(open)
  })

  it('an entry below a file that is not made yet is told to be there', async () => {
    await using dir = await inMemory()
    const tar = rawTar({ name: 'd/' }, { name: 'd/f', data: 'x' }, { name: 'd/f/below', data: 'y' })
    const { error } = await byTwo(dir.directory('two'), tar, 'remove', 50)
    expect(error).toBe(byOne(dir.directory('one'), tar, 'remove').error)
    expect(error).toContain('lies below something that is not a directory')
  })

  it('a full disk is told with a path, whichever thread meets it', async () => {
    await using dir = await inMemory()
    await using workers = new TreeWorkers()
    const root = dir.directory('full')
    mount({ source: 'full', target: root, type: 'tmpfs', data: 'nr_inodes=6000' })
    try {
      const many = Array.from({ length: 20_000 }, (_, index) => ({
        name: `d${index % 7}/f${index}`,
        data: 'x',
      }))
      const tar = rawTar(...many)
      const error: unknown = await workers
        .apply(root, inChunks(tar, 100_000), { whiteouts: 'remove' })
        .catch((caught: unknown) => caught)
      expect(isSystemError(error, 'ENOSPC') && error.path).toMatch(/\/full\/d\d\/f\d+$/)
      expect(await openDescriptors()).toBeLessThan(200)
    } finally {
      umount(root)
    }
  })

  it('an abort ends both, and what is made is as it was when the call returns', async () => {
    await using dir = await inMemory()
    await using workers = new TreeWorkers()
    const root = dir.directory('root')
    const controller = new AbortController()
    const endless = (async function* () {
      for (let round = 0; ; round++) {
        mkdirSync(path.join(dir.path, `round-${round}`))
        if (round === 40) controller.abort(new Error('enough'))
        const files = Array.from({ length: 500 }, (_, index) => ({ name: `d${round}/f${index}`, data: 'x' }))
        yield rawTar(...files).subarray(0, -1024)
      }
    })()
    const applied = workers.apply(root, endless, { whiteouts: 'remove', signal: controller.signal })
    await expect(applied).rejects.toThrow('enough')
    const before = readdirSync(root, { recursive: true }).length
    await setTimeout(100)
    expect(readdirSync(root, { recursive: true })).toHaveLength(before)
    // Both threads serve again.
    const next = dir.directory('next')
    await workers.apply(next, inChunks(rawTar({ name: 'f', data: 'x' })), { whiteouts: 'remove' })
    expect(readdirSync(next)).toEqual(['f'])
  })
})
