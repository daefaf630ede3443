/**
 * Finding a recipe that a driver gets wrong, and making it short.
 *
 * - `GRAPHDRIVER_SEED`: a number, or `random`. The default never changes, so that a run can be repeated.
 * - `GRAPHDRIVER_RUNS`: how many recipes each case tries.
 * - `GRAPHDRIVER_SHRINKS`: how often a failing recipe is tried again in shorter forms; 0 for whether it fails at all.
 * - `GRAPHDRIVER_PATH`: with the seed, the one recipe that a failure named.
 */
import { asyncProperty, check, type RunDetails } from 'fast-check'
import { isCannotRun } from '../lab.ts'
import { type Intent, intents } from './intent.ts'
import { resolve, type Rules } from './resolve.ts'
import { type Recipe, stepText } from './step.ts'

const standardSeed = 20_130_313
/** A second or two of work; `GRAPHDRIVER_RUNS` is for searching longer. */
const standardRuns = 4
/** Some seconds, where a run takes a tenth. */
const standardShrinks = 120

export interface Trial {
  readonly recipes: readonly Recipe[]
  /** Unlike that of any other trial of the case, and not ending in a digit. */
  readonly name: string
}

export interface PropertyOptions {
  readonly rules: Rules
  /** How many recipes are tried, unless the environment says otherwise. */
  readonly runs?: number
  /** The environment, for `GRAPHDRIVER_…`. */
  readonly environment?: Readonly<Record<string, string | undefined>>
}

/** Fails with the shortest recipes found for which `holds` throws, and how to have them again. */
export async function forRecipes(
  { rules, runs = standardRuns, environment = process.env }: PropertyOptions,
  holds: (trial: Trial) => Promise<void>,
): Promise<void> {
  const path = environment['GRAPHDRIVER_PATH'] ?? ''
  const isReplay = path !== ''
  const most = numberOf('GRAPHDRIVER_SHRINKS', environment['GRAPHDRIVER_SHRINKS']) ?? standardShrinks
  let trials = 0
  let shrinks: number | undefined
  const property = asyncProperty(intents(), async (wanted) => {
    if (shrinks !== undefined && ++shrinks > most) return
    try {
      await holds({ recipes: resolve(wanted, rules), name: `run${trials++}-` })
    } catch (error) {
      shrinks ??= 0
      throw error
    }
  })
  const details = await check(property, {
    seed: seedOf(environment['GRAPHDRIVER_SEED']),
    numRuns: numberOf('GRAPHDRIVER_RUNS', environment['GRAPHDRIVER_RUNS']) ?? runs,
    endOnFailure: most === 0 || isReplay,
    ...(isReplay ? { path } : {}),
  })
  if (!details.failed) return
  const { errorInstance: error } = details
  if (isCannotRun(error)) throw error
  throw new Error(failureText(details, rules), { cause: error })
}

function seedOf(text: string | undefined): number {
  // fast-check's seeds are 32 bits with a sign.
  if (text === 'random') return Math.trunc((Math.random() - 0.5) * 2 ** 32)
  return numberOf('GRAPHDRIVER_SEED', text) ?? standardSeed
}

function numberOf(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === '') return undefined
  const number = Number(text)
  if (!Number.isInteger(number)) throw new Error(`${name} is ${text}, which is no whole number`)
  return number
}

/** The recipes of a stack, a line per step. */
export function recipesText(recipes: readonly Recipe[]): string {
  return recipes
    .flatMap((recipe, layer) => [`  layer ${layer}`, ...recipe.map((step) => `    ${stepText(step)}`)])
    .join('\n')
}

function failureText(details: RunDetails<[readonly Intent[]]>, rules: Rules): string {
  const { counterexample, counterexamplePath, errorInstance, numRuns, numShrinks, seed } = details
  const reason = errorInstance instanceof Error ? errorInstance.message : String(errorInstance)
  if (counterexample === null) return reason
  return [
    reason,
    `found by generated recipe ${numRuns}, then made shorter ${numShrinks} times:`,
    recipesText(resolve(counterexample[0], rules)),
    `to have it again: GRAPHDRIVER_SEED=${seed} GRAPHDRIVER_PATH=${counterexamplePath ?? ''}, and this case alone`,
  ].join('\n')
}
