/** Running one case, and saying what came of it. */
import { setTimeout } from 'node:timers/promises'
import type { Capabilities } from '../capabilities.ts'
import type { ConformanceCase } from './case.ts'
import { CaseContext } from './context.ts'
import { isRequired, namesOf, unmet } from './host/requirement.ts'
import { isCannotRun, type Place } from './lab.ts'
import { type Watch, watch } from './leaks.ts'
import type { Subject } from './subject.ts'

/**
 * - `passed`, `failed`: it ran.
 * - `not-applicable`: the driver's capabilities say that the sentence means nothing to it.
 * - `cannot-run`: the host lacks what the case needs. It may be true or false here; nobody looked.
 * - `deviates`: it failed, as the subject says it must.
 */
export type Outcome = 'passed' | 'failed' | 'not-applicable' | 'cannot-run' | 'deviates'

export interface CaseResult {
  readonly id: string
  readonly title: string
  readonly outcome: Outcome
  /** Why, for every outcome but `passed`. */
  readonly reason?: string | undefined
  readonly milliseconds: number
  /** What the driver said it can do, where it was opened. */
  readonly capabilities?: Capabilities | undefined
  /** What was thrown by a case that failed. */
  readonly error?: unknown
}

export interface Verdict extends Omit<CaseResult, 'id' | 'title' | 'milliseconds'> {
  /** Names under which `GRAPHDRIVER_REQUIRE` may demand what is missing. */
  readonly wanted?: readonly string[]
}

/** Never throws: whatever happens is a result. */
export async function runCase(subject: Subject, one: ConformanceCase): Promise<CaseResult> {
  const start = performance.now()
  const verdict = demand(subject, one, judge(subject, one, await attempt(subject, one)))
  return { id: one.id, title: one.title, milliseconds: Math.round(performance.now() - start), ...verdict }
}

/** What of a case is needed to run it; benchmarks have the same. */
export type Attempted = Pick<ConformanceCase, 'needs' | 'requires' | 'run'>

/** Runs something in a fresh place with a fresh driver, and sees to it that nothing is left. Never throws. */
export async function attempt(subject: Subject, one: Attempted): Promise<Verdict> {
  for (const requirement of one.requires ?? []) {
    const reason = unmet(requirement)
    if (reason !== undefined) return { outcome: 'cannot-run', reason, wanted: namesOf(requirement) }
  }
  try {
    const place = await subject.lab.place()
    return await inPlace(subject, one, place)
  } catch (error) {
    return refusal(error)
  }
}

/** The place goes last; what was left mounted in it is a failure of the case. */
async function inPlace(subject: Subject, one: Attempted, place: Place): Promise<Verdict> {
  let verdict: Verdict
  try {
    verdict = await inContext(subject, one, place)
  } catch (error) {
    verdict = refusal(error)
  }
  try {
    await place[Symbol.asyncDispose]()
    return verdict
  } catch (error) {
    return verdict.outcome === 'failed' ? verdict : failure(error)
  }
}

async function inContext(subject: Subject, one: Attempted, place: Place): Promise<Verdict> {
  const watching = watch(place.path)
  const context = await CaseContext.open(subject, place)
  const { capabilities } = context.driver
  let verdict: Verdict
  try {
    const reason = one.needs?.(capabilities, subject.definition)
    if (reason === undefined) {
      await one.run(context)
      verdict = { outcome: 'passed' }
    } else verdict = { outcome: 'not-applicable', reason }
  } catch (error) {
    verdict = refusal(error)
  }
  try {
    await context.close()
    const leaks = await settledLeaks(watching)
    if (leaks.length > 0) throw new Error(`the case left something behind:\n${leaks.join('\n')}`)
  } catch (error) {
    if (verdict.outcome !== 'failed') verdict = failure(error)
  }
  return { ...verdict, capabilities }
}

const patience = 2000

/** The kernel lets go of some things a little later, such as the device of a filesystem that others had mounted too. */
async function settledLeaks(watching: Watch): Promise<readonly string[]> {
  const start = Date.now()
  let leaks = watching.leaks()
  while (leaks.length > 0 && Date.now() - start < patience) {
    await setTimeout(20)
    leaks = watching.leaks()
  }
  return leaks
}

function refusal(error: unknown): Verdict {
  return isCannotRun(error)
    ? { outcome: 'cannot-run', reason: error.message, wanted: error.wanted }
    : failure(error)
}

function failure(error: unknown): Verdict {
  return { outcome: 'failed', reason: error instanceof Error ? error.message : String(error), error }
}

/** A known deviation must still be one: a list that nobody checks rots. */
function judge({ deviations }: Subject, { id }: ConformanceCase, verdict: Verdict): Verdict {
  const reason = deviations[id]
  if (reason === undefined) return verdict
  if (verdict.outcome === 'failed') return { ...verdict, outcome: 'deviates', reason }
  if (verdict.outcome !== 'passed') return verdict
  return failure(new Error(`listed as a deviation (${reason}), and it passes; take it off the list`))
}

/** What `GRAPHDRIVER_REQUIRE` names must not be missing. */
function demand(
  { name, definition, lab }: Subject,
  one: ConformanceCase,
  verdict: Verdict,
): Omit<Verdict, 'wanted'> {
  if (verdict.outcome !== 'cannot-run') return verdict
  const { wanted = [], ...rest } = verdict
  if (!isRequired(name, definition.name, lab.name, ...wanted)) return rest
  return failure(new Error(`GRAPHDRIVER_REQUIRE asks for ${one.id}, which ${rest.reason ?? 'cannot run'}`))
}
