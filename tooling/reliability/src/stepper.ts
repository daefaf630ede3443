/**
 * One operation on one driver, cut short at a point: before a system call the process dies, or a system call fails. Afterwards the
 * store has to open without help, hold all that it held and nothing by halves, and the operation has to succeed when it is done
 * again; and when all is undone, nothing may be left over.
 */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { command, soon } from '@graphdriver/core/conformance'
import { type Ending, type Fault, type FaultPoint, SteppedProcess } from '@tooling/lab'
import { allCalls, callsOf } from './calls.ts'
import type { Inputs } from './inputs.ts'
import { graphdriver, load, type LoneOperation, type Operation } from './operation.ts'
import { type OpenRoot, openRoot } from './root.ts'
import { classify, damagesOf, reset, shapeDifference, shapeOf, type State, stateOf } from './state.ts'

/** What came of one point. */
export interface Outcome {
  readonly point: FaultPoint
  /** `missed`: the process came through before the call was made that often. */
  readonly met: 'killed' | 'failed' | 'missed' | 'overcome'
  /** What is wrong, if anything. */
  readonly problems: readonly string[]
}

const victim = fileURLToPath(new URL('./victim.ts', import.meta.url))

export class Stepper implements AsyncDisposable {
  readonly driver: string
  readonly operation: Operation | LoneOperation
  readonly #root: string
  readonly #inputs: Inputs
  #baseShape: readonly string[] = []
  #before: State | undefined
  #after: State | undefined
  /** Started while the last one is looked at. */
  #next: SteppedProcess | undefined

  private constructor(driver: string, operation: Operation | LoneOperation, root: string, inputs: Inputs) {
    this.driver = driver
    this.operation = operation
    this.#root = root
    this.#inputs = inputs
  }

  /** @param root an empty directory on a filesystem that the driver can be on; it is the stepper's */
  static async on(
    driver: string,
    operation: Operation | LoneOperation,
    root: string,
    inputs: Inputs,
  ): Promise<Stepper> {
    const stepper = new Stepper(driver, operation, root, inputs)
    await stepper.#opened((opened) => load(opened, inputs.base))
    // Once there and back, so that what stays for good, such as an empty directory, is there.
    await stepper.#prepare()
    await stepper.#run()
    stepper.#after = await stepper.#opened(async (opened) => stateOf(opened))
    await stepper.#reset()
    stepper.#baseShape = shapeOf(root)
    await stepper.#prepare()
    stepper.#before = await stepper.#opened(async (opened) => stateOf(opened))
    return stepper
  }

  /** All points of some faults, in the order of their numbers. */
  async points(faults: readonly Fault[]): Promise<readonly FaultPoint[]> {
    const counts = await this.#takeVictim().count(
      allCalls,
      path.join(this.#root, '..', `${path.basename(this.#root)}.trace`),
    )
    await this.#restart()
    return faults.flatMap((fault) =>
      callsOf[fault].flatMap((call) =>
        Array.from({ length: counts.get(call) ?? 0 }, (_, index) => ({ fault, call, at: index + 1 })),
      ),
    )
  }

  /** Tries one, and leaves the store as it was before. */
  async try(point: FaultPoint): Promise<Outcome> {
    const ending = await this.#takeVictim().meet(point)
    this.#next = this.#startVictim()
    const problems: string[] = []
    if (ending.by === 'timeout') problems.push('it did not end')
    const met = metBy(point, ending)
    try {
      problems.push(...(await this.#examine(ending)))
    } catch (error) {
      problems.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
    if (problems.length === 0) await this.#prepare()
    else {
      await this.#reset()
      // What this point has left is not to be found again after each that follows.
      this.#baseShape = shapeOf(this.#root)
      await this.#prepare()
    }
    return { point, met, problems }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#next?.[Symbol.asyncDispose]()
  }

  async #examine(ending: Ending): Promise<readonly string[]> {
    const problems: string[] = []
    const [before, after] = [this.#before, this.#after]
    if (before === undefined || after === undefined) throw new Error('the stepper was not prepared')
    const isLone = 'words' in this.operation
    const isDone = await this.#opened(async (opened) => {
      problems.push(...(await damagesOf(opened)))
      const found = classify(stateOf(opened), before, after)
      if (found === undefined) problems.push('the store is neither as before nor as after')
      if (ending.output === 'done\n' && found !== 'after')
        problems.push('it said that it was done, and it is not')
      return found === 'after'
    })
    if (isLone || !isDone) await this.#run()
    await this.#opened(async (opened) => {
      if (classify(stateOf(opened), before, after) !== 'after') problems.push('done again, it is not done')
      problems.push(...(await damagesOf(opened)))
    })
    if ('words' in this.operation) problems.push(...(await this.operation.verify(this.driver, this.#root)))
    await this.#reset()
    try {
      await soon(() => {
        const difference = shapeDifference(shapeOf(this.#root), this.#baseShape)
        if (difference.length > 0) throw new Error(difference.slice(0, 8).join('; '))
      })
    } catch (error) {
      problems.push(error instanceof Error ? error.message : String(error))
    }
    return problems
  }

  /** To where each point begins, whatever there is. */
  async #restart(): Promise<void> {
    await this.#reset()
    await this.#prepare()
  }

  /** What is not known to be done is done. */
  async #run(): Promise<void> {
    const { operation, driver } = this
    if (!('words' in operation)) await this.#opened((opened) => operation.run(opened, this.#inputs))
    else if (!(await operation.isDone(driver, this.#root)))
      await command(process.execPath, [graphdriver, ...operation.words(driver, this.#root)])
  }

  /** To the base image alone. */
  async #reset(): Promise<void> {
    if ('words' in this.operation) await this.operation.undo(this.driver, this.#root)
    await this.#opened(reset)
  }

  async #prepare(): Promise<void> {
    const { prepare } = this.operation
    if (prepare !== undefined) await this.#opened((opened) => prepare(opened, this.#inputs))
  }

  async #opened<T>(action: (opened: OpenRoot) => Promise<T>): Promise<T> {
    await using opened = await openRoot(this.driver, this.#root)
    return await action(opened)
  }

  #takeVictim(): SteppedProcess {
    const taken = this.#next ?? this.#startVictim()
    this.#next = undefined
    return taken
  }

  #startVictim(): SteppedProcess {
    return new SteppedProcess([
      victim,
      this.driver,
      this.#root,
      this.operation.name,
      JSON.stringify(this.#inputs),
    ])
  }
}

function metBy({ fault }: FaultPoint, ending: Ending): Outcome['met'] {
  if (ending.by !== 'itself') return 'killed'
  if (ending.output.startsWith('failed: ')) return 'failed'
  return fault === 'kill' ? 'missed' : 'overcome'
}
