/** What a guest tells of a suite that it runs, case by case, for whoever asks before or after. */
import { type ConformanceCase, parseReport, type ReportedCase, type Run } from '@graphdriver/core/conformance'
import type { ToldLine } from './examination.ts'
import { type GuestRequest, runInGuest } from './guest.ts'

export interface GuestExamination extends Omit<GuestRequest, 'command' | 'onOutput'> {
  /** A program that calls `tellExaminations`, with its arguments. */
  readonly program: readonly [script: URL, ...args: string[]]
  /** What it examines, in this order. */
  readonly cases: readonly ConformanceCase[]
}

/** Runs a program that calls `tellExaminations`, or does the same, elsewhere. */
export type StartProgram = (
  onOutput: (text: string) => void,
) => Promise<{ readonly exitCode: number | null | undefined; readonly stderr: string }>

export function inGuest({
  program: [script, ...args],
  ...request
}: Omit<GuestExamination, 'cases'>): StartProgram {
  return (onOutput) =>
    runInGuest({ ...request, command: [process.execPath, script.pathname, ...args], onOutput })
}

export interface ToldResult {
  readonly result: ReportedCase
  readonly error?: string | undefined
}

type Heading = Omit<Run, 'cases'>

export class GuestResults {
  readonly #cases: readonly ConformanceCase[]
  readonly #waited = new Map<string, PromiseWithResolvers<ToldResult>>()
  readonly #untold: Map<string, ConformanceCase>
  /** Undefined until the first is told. */
  #heading: Heading | undefined
  readonly #ended = Promise.withResolvers<void>()
  /** What the program prints beside results. */
  #noise = ''

  constructor(cases: readonly ConformanceCase[]) {
    this.#cases = cases
    this.#untold = new Map(cases.map((one) => [one.id, one]))
    for (const { id } of cases) this.#waited.set(id, Promise.withResolvers())
  }

  /** Of a case, as soon as it has one. */
  async of(id: string): Promise<ToldResult> {
    const waited = this.#waited.get(id)
    if (waited === undefined) throw new Error(`${id} is no case of this examination`)
    return waited.promise
  }

  /** All of them as one run, when the guest has ended; none where it died before the first. */
  async run(): Promise<Run | undefined> {
    await this.#ended.promise
    const all = await Promise.all(this.#cases.map(({ id }) => this.of(id)))
    return this.#heading && { ...this.#heading, cases: all.map(({ result }) => result) }
  }

  /** Starts the program. Never throws: of one that dies, the case that it was at has failed, and all after it. */
  async follow(start: StartProgram): Promise<void> {
    let why: string
    try {
      let rest = ''
      const { exitCode, stderr } = await start((text) => {
        const lines = `${rest}${text}`.split('\n')
        rest = lines.pop() ?? ''
        for (const line of lines) this.#hear(line)
      })
      why = `its program ended with ${exitCode}:\n${stderr}`
    } catch (error) {
      why = error instanceof Error ? error.message : String(error)
    }
    this.#giveUp(why)
    this.#ended.resolve()
  }

  #hear(line: string): void {
    const told = toldLine(line)
    if (told === undefined) {
      this.#noise += `${line}\n`
      return
    }
    const { error, report } = told
    for (const { cases, ...heading } of parseReport(report).runs) {
      this.#heading ??= heading
      for (const result of cases) this.#tell({ result, error })
    }
  }

  /** The first that is not told of has the guest's last words, and the others name it. */
  #giveUp(why: string): void {
    const [culprit] = this.#untold.values()
    for (const one of this.#untold.values()) {
      const reason =
        one === culprit ? 'the guest ended without its result' : `the guest had ended at ${culprit?.id}`
      const error = one === culprit ? `${reason}: ${why}\n${this.#noise}` : undefined
      const { id, title } = one
      this.#tell({ result: { id, title, outcome: 'failed', reason, milliseconds: 0 }, error })
    }
  }

  #tell(told: ToldResult): void {
    this.#untold.delete(told.result.id)
    this.#waited.get(told.result.id)?.resolve(told)
  }
}

/** Undefined for what is something else. */
function toldLine(line: string): ToldLine | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null && 'report' in value ? (value as ToldLine) : undefined
  } catch {
    return undefined
  }
}
