/** The benchmarks of core, on a driver that is correct and on such that are not. */
import { readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { benchCases, type BenchRun, runBench } from '@graphdriver/core/bench'
import {
  mountsBelow,
  type Place,
  rawTar,
  type Subject,
  subjectOf,
  type TemporaryDirectory,
  temporaryDirectory,
  unmet,
} from '@graphdriver/core/conformance'
import { describe, expect, test } from 'vitest'
import { definitionOf, type Mutant } from '../src/mutant.ts'
import reference from '../src/reference.ts'

const missing = unmet({ root: true })

/** A subject whose places are all in one directory, where what is left can be seen. */
async function confined(mutant?: Mutant): Promise<Subject & TemporaryDirectory> {
  const directory = await temporaryDirectory()
  const place = (): Promise<Place> => temporaryDirectory(directory.path)
  const subject = subjectOf(mutant === undefined ? reference : definitionOf(mutant))
  return {
    ...subject,
    lab: { ...subject.lab, name: 'somewhere', place },
    path: directory.path,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}

function pick(...ids: readonly string[]): typeof benchCases {
  return benchCases.filter(({ id }) => ids.includes(id))
}

function outcomes({ cases }: BenchRun): Readonly<Record<string, string>> {
  return Object.fromEntries(cases.map(({ id, outcome }) => [id, outcome]))
}

test('no id and no title is there twice', () => {
  const [ids, titles] = [benchCases.map(({ id }) => id), benchCases.map(({ title }) => title)]
  expect(ids).toEqual([...new Set(ids)])
  expect(titles).toEqual([...new Set(titles)])
})

describe.skipIf(missing !== undefined)(`benchmarks (${missing ?? 'as root'})`, () => {
  test(
    'every case is measured once, the document is plain JSON, and nothing is left',
    { timeout: 240_000 },
    async () => {
      await using subject = await confined()
      await using scratch = await temporaryDirectory()
      const layer = path.join(scratch.path, 'layer.tar.gz')
      writeFileSync(layer, gzipSync(rawTar({ name: 'directory/' }, { name: 'directory/file', data: 'x' })))
      const heard: string[] = []
      const run = await runBench(subject, {
        scale: 'quick',
        rounds: 1,
        layer,
        onResult: ({ id }) => heard.push(id),
      })

      expect(JSON.parse(JSON.stringify(run))).toEqual(run)
      expect(run).toMatchObject({ format: 1, driver: 'reference', filesystem: 'somewhere', scale: 'quick' })
      expect(heard).toEqual(benchCases.map(({ id }) => id))
      const left = run.cases.filter(({ outcome }) => outcome !== 'measured')
      expect(new Set(left.map((one) => 'reason' in one && one.reason))).toEqual(new Set(['takes scale full']))
      const measured = run.cases.flatMap((one) => (one.outcome === 'measured' ? [one] : []))
      for (const { median, p99, min, samples } of measured) {
        expect(samples).toHaveLength(1)
        expect([median, p99, min].every((value) => Number.isFinite(value) && value > 0)).toBe(true)
      }
      expect(run.cases.find(({ id }) => id === 'writable-layers')).toMatchObject({
        parameters: { layers: 100 },
        each: { of: 'layers', count: 100 },
      })
      expect(readdirSync(subject.path)).toEqual([])
      expect(mountsBelow(subject.path)).toEqual([])
    },
  )

  test('rounds are what was asked for, without the warm-up', async () => {
    await using subject = await confined()
    const { cases } = await runBench(subject, { cases: pick('exists'), rounds: 7 })
    expect(cases).toMatchObject([{ rounds: 7, samples: { length: 7 } }])
    const [only] = cases
    if (only?.outcome !== 'measured') throw new Error('it was not measured')
    const sorted = only.samples.toSorted((a, b) => a - b)
    expect([only.min, only.median, only.p99]).toEqual([sorted[0], sorted[3], sorted[6]])
  })

  test('a case without what it needs is not run, and says why', async () => {
    await using subject = await confined({
      does: 'mounts few layers',
      caughtBy: [],
      breaks: ({ capabilities }) => ({ capabilities: { ...capabilities, maxDepth: 10 } }),
    })
    const { cases } = await runBench(subject, { cases: pick('deep-layer-read', 'apply-layer') })
    expect(cases).toMatchObject([
      { outcome: 'not-run', reason: 'no stack of 21 layers can be mounted' },
      { outcome: 'not-run', reason: 'takes the tar of a layer, as option layer' },
    ])
  })

  test('a driver that fails fails that case only, and nothing of it is left', async () => {
    await using subject = await confined({
      does: 'cannot unmount',
      caughtBy: [],
      breaks: () => ({ put: () => Promise.reject(new Error('it is stuck')) }),
    })
    const run = await runBench(subject, { cases: pick('exists', 'put', 'create'), rounds: 1 })
    expect(outcomes(run)).toEqual({ exists: 'measured', put: 'failed', create: 'measured' })
    expect(run.cases[1]).toMatchObject({ reason: 'it is stuck' })
    expect(readdirSync(subject.path)).toEqual([])
    expect(mountsBelow(subject.path)).toEqual([])
  })

  test('an abort ends the run with its reason before the next timed part, and nothing is left', async () => {
    await using subject = await confined()
    const ending = new AbortController()
    const run = runBench(subject, {
      cases: pick('exists', 'create'),
      rounds: 1,
      signal: ending.signal,
      onResult: () => ending.abort(new Error('enough')),
    })
    await expect(run).rejects.toThrow('enough')
    expect(readdirSync(subject.path)).toEqual([])
  })

  test.each([0, 1.5, Number.NaN])('%d rounds are none', async (rounds) => {
    await using subject = await confined()
    await expect(runBench(subject, { rounds })).rejects.toThrow('rounds must be a whole number above 0')
  })
})
