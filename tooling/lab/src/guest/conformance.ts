/** The suite in a guest, in vitest: a test per case, as if it ran here. */
import {
  addToReport,
  byArea,
  type ConformanceCase,
  parseReport,
  type Run,
} from '@graphdriver/core/conformance'
import { afterAll, beforeAll, describe, test } from 'vitest'
import type { ToldLine, ToldResult } from './examination.ts'
import { type GuestRequest, missingGuest, runInGuest } from './guest.ts'

export interface GuestConformance extends Omit<GuestRequest, 'command' | 'onOutput' | 'waits'> {
  /** Of the driver, and what it is on. */
  readonly title: string
  /** A program that calls `tellExaminations`, with its arguments. */
  readonly program: readonly [script: URL, ...args: string[]]
  /** What it examines. */
  readonly cases: readonly ConformanceCase[]
  /** File to which the results are added, as `conformance.json` is written. */
  readonly report?: string | undefined
}

/** Whole suites take a quarter of an hour in guests. */
const wanted = process.env['GRAPHDRIVER_GUESTS'] === 'all'
const notWanted = 'only with GRAPHDRIVER_GUESTS=all'

/**
 * Registers the suite for a driver in a guest. All guests of a file start together, as far as there is room for them; each
 * test ends when the guest has told of its case. Where there can be no guests, all are skipped, with the reason.
 */
export async function guestConformance(options: GuestConformance): Promise<void> {
  const { title, cases, report } = options
  const missing = wanted ? await missingGuest() : notWanted
  const results = new Results(cases)
  const seconds = options.seconds ?? 3000
  if (missing === undefined) beforeAll(() => void results.follow({ ...options, seconds }))
  describe.skipIf(missing !== undefined)(`${title} (${missing ?? 'in a guest'})`, () => {
    for (const [area, own] of byArea(cases)) {
      describe(area, () => {
        for (const { id, title: sentence } of own) {
          // Guests may have to wait for each other.
          test(sentence, { timeout: 2 * seconds * 1000 }, async ({ skip }) => {
            const { outcome, reason, error } = await results.of(id)
            if (outcome === 'failed') throw new Error(error ?? reason ?? 'failed')
            skip(outcome !== 'passed', `${outcome}: ${reason ?? ''}`)
          })
        }
      })
    }
    afterAll(async () => {
      const runs = await results.runs()
      if (report !== undefined) addToReport(report, ...runs)
    })
  })
}

/** What a guest tells, by case, for who asks before or after. */
class Results {
  readonly #told = new Map<string, PromiseWithResolvers<ToldResult>>()
  readonly #reported = Promise.withResolvers<readonly Run[]>()

  constructor(cases: readonly ConformanceCase[]) {
    for (const { id } of cases) this.#told.set(id, Promise.withResolvers())
    for (const { promise } of [...this.#told.values(), this.#reported]) promise.catch(() => undefined)
  }

  async of(id: string): Promise<ToldResult> {
    const told = this.#told.get(id)
    if (told === undefined) throw new Error(`${id} is no case of this examination`)
    return told.promise
  }

  runs(): Promise<readonly Run[]> {
    return this.#reported.promise
  }

  /** Never throws: what goes wrong is the result of all that is not told by then. */
  async follow({ program: [script, ...args], ...request }: GuestConformance): Promise<void> {
    try {
      let rest = ''
      const { exitCode, stderr } = await runInGuest({
        ...request,
        waits: true,
        command: [process.execPath, script.pathname, ...args],
        onOutput: (text) => {
          const lines = `${rest}${text}`.split('\n')
          rest = lines.pop() ?? ''
          for (const line of lines) this.#hear(JSON.parse(line) as ToldLine)
        },
      })
      this.#giveUp(new Error(`the guest did not tell; its program ended with ${exitCode}:\n${stderr}`))
    } catch (error) {
      this.#giveUp(error)
    }
  }

  #hear(line: ToldLine): void {
    if ('report' in line) this.#reported.resolve(parseReport(line.report).runs)
    else this.#told.get(line.result.id)?.resolve(line.result)
  }

  #giveUp(error: unknown): void {
    for (const { reject } of [...this.#told.values(), this.#reported]) reject(error)
  }
}
