/** What is made of numbers; the numbers themselves are no matter of tests. */
import { expect, test } from 'vitest'
import { chartOf } from '../src/chart.ts'
import { worsened } from '../src/check.ts'
import { documentOf } from '../src/document.ts'
import { joined, jsonOf, type Report, reportFormat, verdictsOf } from '../src/report.ts'
import { runWork, type WorkResult } from '../src/run.ts'
import { statisticOf } from '../src/statistics.ts'
import type { Goal, Setting, Work } from '../src/work.ts'

const setting: Setting = { scale: 'small', storage: 'memory' }

test('medians and the nearest rank', () => {
  expect(statisticOf('median', [3, 1, 2])).toBe(2)
  expect(statisticOf('median', [4, 1, 2, 3])).toBe(2.5)
  expect(statisticOf('p99', [5, 9, 7])).toBe(9)
  expect(
    statisticOf(
      'p99',
      Array.from({ length: 200 }, (_, at) => at + 1),
    ),
  ).toBe(198)
  expect(statisticOf('max', [1, 3, 2])).toBe(3)
})

const goals: readonly Goal[] = [
  { metric: 'wall', statistic: 'median', to: 'one', atMost: 0.5 },
  { metric: 'wall', statistic: 'median', to: 'best', except: ['floor'], atMost: 0.9 },
  { metric: 'wall', statistic: 'median', to: 'absent', atMost: 1 },
  { metric: 'rss', statistic: 'max', atMost: 100 },
]

function result(own: number): WorkResult {
  return {
    id: 'work',
    title: 'some work',
    units: { wall: 'ms', rss: 'MiB' },
    rounds: 1,
    notes: ['a note'],
    contenders: [
      { name: 'graphdriver', samples: { wall: [own], rss: [90, 110] } },
      { name: 'graphdriver otherwise', samples: { wall: [1] } },
      { name: 'one', samples: { wall: [100] } },
      { name: 'two', samples: { wall: [50] } },
      { name: 'floor', samples: { wall: [5] } },
    ],
  }
}

function report(own: number): Report {
  const found = result(own)
  return {
    format: reportFormat,
    date: '2026-01-01T00:00:00.000Z',
    machine: { cpu: '2 × processor', memoryGiB: 8, kernel: '6.18', node: 'v24' },
    setting,
    peers: { one: 'one 1.0' },
    works: [{ ...found, date: '2026-01-01T00:00:00.000Z', verdicts: verdictsOf({ goals }, found) }],
  }
}

test('ours are compared with the peer that is named, or with the best, which is none of ours and no floor', () => {
  expect(verdictsOf({ goals }, result(40))).toMatchObject([
    { of: 'graphdriver', to: 'one', found: 0.4, reached: true },
    { to: 'two', found: 0.8, reached: true },
    { to: 'absent', found: undefined, reached: undefined },
    { of: 'graphdriver', found: 110, reached: false },
  ])
})

test('a ratio that is much worse than before is told, a time that is longer is not', () => {
  expect(worsened(report(45), report(40))).toEqual([])
  expect(worsened(report(40), report(90))).toEqual([])
  expect(worsened(report(90), report(40))).toEqual([
    { id: 'work', what: 'wall of graphdriver is 0.90 × that of one; it was 0.40 ×' },
    { id: 'work', what: 'wall of graphdriver is 1.80 × that of two; it was 0.80 ×' },
  ])
  expect(worsened(report(90), { ...report(40), works: [] })).toEqual([])
})

test('the document says what was reached and where we lose, the picture has a bar for each ratio', () => {
  const text = documentOf(report(60))
  expect(text).toContain('| `work` | graphdriver | one | wall, median | ≤ 0.5 | 0.6 ✗ |')
  expect(text).toContain('- `work`: wall (median) of graphdriver is 0.6 × that of one, the goal 0.5')
  expect(text).toContain('| **graphdriver** | 60 | 60 | 100 | 110 |')
  expect(chartOf(report(60)).match(/<rect x=/g)).toHaveLength(2)
})

test('a work that is measured again takes the place of what it was', () => {
  const [work] = report(40).works
  const before = { ...report(40), works: report(40).works.flatMap((one) => [{ ...one, id: 'first' }, one]) }
  const after = joined(report(60), before)
  expect(after.works.map(({ id, contenders }) => [id, contenders[0]?.samples['wall']])).toEqual([
    ['first', [40]],
    [work?.id, [60]],
  ])
})

test('what is written is read again', () => {
  expect(JSON.parse(jsonOf(report(45)))).toEqual(JSON.parse(JSON.stringify(report(45))))
})

test('contenders take turns, and whoever was first in one round is last in the next', async () => {
  const order: string[] = []
  const work: Work = {
    id: 'turns',
    title: 'turns',
    units: { wall: 'ms' },
    rounds: 3,
    goals: [],
    prepare: async () => ({
      contenders: ['a', 'b', 'c'].map((name) => ({
        name,
        round: async () => {
          order.push(name)
          return { wall: [order.length] }
        },
      })),
      notes: [],
      [Symbol.asyncDispose]: async () => void order.push('end'),
    }),
  }
  const { contenders } = await runWork(work, { setting })
  expect(order.join(' ')).toBe('a b c b c a c a b end')
  expect(contenders[0]?.samples).toEqual({ wall: [1, 6, 8] })
})
