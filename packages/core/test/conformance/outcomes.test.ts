import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import {
  CannotRun,
  type CaseResult,
  type ConformanceCase,
  examine,
  runCase,
  type SubjectOptions,
  subjectOf,
} from '../../src/conformance/index.ts'
import { GraphDriverError } from '../../src/index.ts'
import { copyingDriver } from './copying-driver.ts'

const definition = copyingDriver()

/** A case that says nothing of the driver; its id is one of the suite's, so that it may be a deviation. */
function made(members: Partial<ConformanceCase>): ConformanceCase {
  return { id: 'lifecycle/exists', title: 'made up', run: () => Promise.resolve(), ...members }
}

function outcomeOf(members: Partial<ConformanceCase>, options?: SubjectOptions): Promise<CaseResult> {
  return runCase(subjectOf(definition, options), made(members))
}

afterEach(() => {
  delete process.env['GRAPHDRIVER_REQUIRE']
})

test('a case that ends passes, with what the driver said of itself', async () => {
  expect(await outcomeOf({})).toMatchObject({
    id: 'lifecycle/exists',
    outcome: 'passed',
    capabilities: { copyUp: 'none' },
  })
})

test('a case that throws fails, with what it threw', async () => {
  const error = new Error('not so')
  expect(await outcomeOf({ run: () => Promise.reject(error) })).toMatchObject({
    outcome: 'failed',
    reason: 'not so',
    error,
  })
})

test('a case that means nothing to the driver does not run', async () => {
  const run = (): Promise<void> => Promise.reject(new Error('it ran'))
  expect(await outcomeOf({ run, needs: ({ quota }) => `quota is ${quota}` })).toMatchObject({
    outcome: 'not-applicable',
    reason: 'quota is none',
  })
})

test.each<[string, Partial<ConformanceCase>]>([
  ['what it requires', { requires: [{ command: 'gd-no-such', package: 'nothing' }] }],
  [
    'what it asks for',
    { run: () => Promise.reject(new CannotRun('needs gd-no-such (Debian package nothing)', ['gd-no-such'])) },
  ],
])('a case cannot run where the host lacks %s', async (_, members) => {
  const reason = 'needs gd-no-such (Debian package nothing)'
  expect(await outcomeOf(members)).toMatchObject({ outcome: 'cannot-run', reason })
  for (const list of ['all', 'gd-no-such', `root,${definition.name}`, 'memory disk']) {
    process.env['GRAPHDRIVER_REQUIRE'] = list
    const { outcome, reason: why } = await outcomeOf(members, {
      lab: { ...subjectOf(definition).lab, name: 'memory disk' },
    })
    expect([outcome, why]).toEqual([
      'failed',
      `GRAPHDRIVER_REQUIRE asks for lifecycle/exists, which ${reason}`,
    ])
  }
  process.env['GRAPHDRIVER_REQUIRE'] = 'another'
  expect(await outcomeOf(members)).toMatchObject({ outcome: 'cannot-run', reason })
})

test('a driver that cannot serve at the place cannot run', async () => {
  const open = (): Promise<never> =>
    Promise.reject(
      new GraphDriverError('GD_DRIVER_UNSUPPORTED', 'not on this host', { driver: 'copying', reason: 'no' }),
    )
  expect(await runCase(subjectOf({ ...definition, open }), made({}))).toMatchObject({
    outcome: 'cannot-run',
    reason: 'not on this host',
  })
})

test('a deviation runs, and must still fail', async () => {
  const deviations = { 'lifecycle/exists': 'known' } as const
  const run = (): Promise<void> => Promise.reject(new Error('not so'))
  expect(await outcomeOf({ run }, { deviations })).toMatchObject({ outcome: 'deviates', reason: 'known' })
  expect(await outcomeOf({}, { deviations })).toMatchObject({
    outcome: 'failed',
    reason: 'listed as a deviation (known), and it passes; take it off the list',
  })
})

test('a deviation of a case that there is not is refused', () => {
  const deviations = { 'lifecycle/no-such': 'known' } as const
  expect(() => subjectOf(definition, { deviations })).toThrow(
    'deviation lifecycle/no-such is no case of this suite',
  )
})

test('the loop fails a case that does not end, and goes on', async () => {
  const heard: string[] = []
  const cases = [made({ run: () => wait(60_000, undefined, { ref: false }) }), made({ title: 'the next' })]
  const run = await examine(subjectOf(definition), {
    cases,
    timeout: 50,
    onResult: ({ title, outcome }) => heard.push(`${title} ${outcome}`),
  })
  expect(heard).toEqual(['made up failed', 'the next passed'])
  expect(run.cases[0]?.reason).toBe('the case has not ended after 50 ms')
})

test('the loop stops between two cases when it is told to', async () => {
  const controller = new AbortController()
  const reason = new Error('enough')
  const running = examine(subjectOf(definition), {
    cases: [made({}), made({})],
    signal: controller.signal,
    onResult: () => controller.abort(reason),
  })
  await expect(running).rejects.toBe(reason)
})
