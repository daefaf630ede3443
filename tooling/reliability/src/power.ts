/**
 * A store on a disk whose power fails: a life of a store is recorded, and every state that the disk could have been left in
 * is looked at: at each flush, and with any part of what was written after it.
 */
import { rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { mkdtemp } from 'node:fs/promises'
import { command } from '@graphdriver/core/conformance'
import { recordedDisk, type RecordedKind, type Recording } from '@tooling/lab'
import { type Inputs, makeInputs } from './inputs.ts'
import type { Durability } from '@graphdriver/layer-store'
import { load, type Operation } from './operation.ts'
import { operations } from './operations.ts'
import { randomOf } from './random.ts'
import { openRoot } from './root.ts'
import { classify, damagesOf, type State, stateOf } from './state.ts'

/** What is done, one after another, each on what the one before it left. */
const life: readonly string[] = [
  'load',
  'create',
  'mount',
  'commit',
  'register',
  'remove',
  'delete',
  'rename',
  'gc',
]

interface Moment {
  readonly operation: Operation
  /** Of the log, when it had returned. */
  readonly position: number
  readonly after: State
}

export interface Life {
  readonly recording: Recording
  readonly driver: string
  readonly inputs: Inputs
  readonly begin: State
  readonly moments: readonly Moment[]
}

export interface CutState {
  readonly epoch: number
  /** Which of the writes after the flush are there, by their numbers. */
  readonly writes: readonly number[]
}

/** Records it. Disposing throws the disk away. @param durability of the store, which has something to lose unless it is safe */
export async function recordLife(
  driver: string,
  kind: RecordedKind,
  durability: Durability = 'safe',
): Promise<Life & AsyncDisposable> {
  await using own = new AsyncDisposableStack()
  const scratch = await mkdtemp(path.join(tmpdir(), 'gd-power-'))
  own.defer(() => rmSync(scratch, { recursive: true }))
  const inputs = await makeInputs(scratch, driver)
  let begin: State | undefined
  const disk = own.use(
    await recordedDisk(kind, async (root) => {
      await using opened = await openRoot(driver, root)
      await load(opened, inputs.base)
      begin = stateOf(opened)
    }),
  )
  if (begin === undefined) throw new Error('the disk was not filled')
  const moments: Moment[] = []
  for (const name of life) {
    const operation = operations.find((one): one is Operation => 'run' in one && one.name === name)
    if (operation === undefined) throw new Error(`no operation ${name}`)
    // A process of its own each, as far as the store can tell.
    await using opened = await openRoot(driver, disk.path, durability)
    await operation.run(opened, inputs)
    // What is written to a mounted layer is its writer's to flush.
    if (name === 'mount') await command('sync', ['--file-system', disk.path])
    moments.push({ operation, position: disk.position(), after: stateOf(opened) })
  }
  const recording = await disk.stop()
  const kept = own.move()
  return { recording, driver, inputs, begin, moments, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** @param subsets how many parts of each epoch are tried beside none and all of it */
export function* cutStates({ epochs }: Recording, subsets: number, seed: string): Generator<CutState> {
  for (const [epoch, { writes }] of epochs.entries()) {
    yield { epoch, writes: [] }
    const random = randomOf(`${seed} ${epoch}`)
    if (writes.length < 2) continue
    for (let trial = 0; trial < subsets; trial++) {
      // Few, half or most of them.
      const share = [0.1, 0.5, 0.9][trial % 3] ?? 0.5
      yield { epoch, writes: [...writes.keys()].filter(() => random() < share) }
    }
  }
}

/** States have to come in the order of their epochs. @returns what is wrong */
export async function tryState(life: Life, { epoch, writes }: CutState): Promise<readonly string[]> {
  const { recording } = life
  await recording.before(epoch)
  const all = recording.epochs[epoch]?.writes ?? []
  const image = await recording.with(writes.flatMap((number) => all[number] ?? []))
  try {
    {
      // The filesystem mends itself from its journal.
      await using _ = await recording.mount(image)
    }
    await recording.check(image)
    await using mounted = await recording.mount(image)
    return await examine(life, epoch, mounted.path)
  } catch (error) {
    return [error instanceof Error ? (error.stack ?? error.message) : String(error)]
  }
}

async function examine(life: Life, epoch: number, root: string): Promise<readonly string[]> {
  const { recording, driver, inputs, begin, moments } = life
  const end = recording.epochs[epoch]?.end ?? 0
  // What had returned before the next flush ended had made its own: no flush came in between.
  const done = moments.filter(({ position }) => position < end).length
  const before = done === 0 ? begin : moments[done - 1]?.after
  const next = moments[done]
  if (before === undefined) throw new Error(`there is no moment ${done}`)
  const problems: string[] = []
  await using opened = await openRoot(driver, root)
  problems.push(...(await damagesOf(opened)))
  const found = classify(stateOf(opened), before, next?.after ?? before)
  const last = moments[done - 1]?.operation.name ?? 'nothing'
  if (found === undefined)
    problems.push(
      `after ${last} the store is neither as then nor as after ${next?.operation.name ?? last}: ${stateOf(opened).visible.join(', ')}`,
    )
  if (next === undefined) return problems
  await next.operation.run(opened, inputs)
  if (classify(stateOf(opened), before, next.after) !== 'after')
    problems.push(`${next.operation.name}, done again, is not done`)
  problems.push(...(await damagesOf(opened)))
  await opened.layers.collect()
  return problems
}
