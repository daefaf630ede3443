/**
 * Whether a run is worse than one before it. Ratios to a peer in the same run are compared, never times; each may be so much
 * worse, since runs differ by what else the machine does.
 */
import type { Report, Verdict } from './report.ts'

/** A ratio that is this much of the one before is no news. */
const tolerated = 1.5

export interface Worsened {
  /** Of the work. */
  readonly id: string
  /** In words. */
  readonly what: string
}

/** What is worse. Left out are absolute bounds, which depend on the machine, and the slowest of many, which is chance. */
export function worsened(report: Pick<Report, 'works'>, before: Report): readonly Worsened[] {
  return report.works.flatMap(({ id, verdicts }) => {
    const former = before.works.find((work) => work.id === id)?.verdicts ?? []
    return verdicts.flatMap((verdict) => {
      const then = former.find((other) => isSame(other, verdict))?.found
      if (verdict.goal.statistic !== 'median') return []
      if (verdict.to === undefined || verdict.found === undefined || then === undefined) return []
      if (verdict.found <= then * tolerated) return []
      const { goal, of, to, found } = verdict
      const what = `${goal.metric} of ${of} is ${found.toFixed(2)} × that of ${to}; it was ${then.toFixed(2)} ×`
      return [{ id, what }]
    })
  })
}

/** The best of several may be another one today. */
function isSame(a: Verdict, b: Verdict): boolean {
  const [one, other] = [a.goal, b.goal]
  return (
    a.of === b.of && one.metric === other.metric && one.statistic === other.statistic && one.to === other.to
  )
}
