/** Processes that are killed in the middle of what they do to a driver's home. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { CaseContext } from './context.ts'
import { CannotRun } from './lab.ts'
import { optionsAt } from './subject.ts'
import { type Order, type Scenario, victimProgram } from './victim-order.ts'

/** What it had said when it was killed, in order: `step create layer0`, `whole layer0`, … */
export type Told = readonly string[]

/**
 * Runs a scenario in a process of its own, and kills it once it has told its nth step.
 *
 * @throws CannotRun where nobody said what another process has to import
 */
export async function killedAfter(
  { subject, root }: CaseContext,
  scenario: Scenario,
  steps: number,
): Promise<Told> {
  const { module } = subject
  if (module === undefined)
    throw new CannotRun('no module was named that another process could import', ['module'])
  const order: Order = { module, root, options: await optionsAt(subject, root), scenario }
  const child = spawn(process.execPath, [fileURLToPath(victimProgram()), JSON.stringify(order)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = once(child, 'close')
  const complaint = text(child.stderr)
  const told: string[] = []
  let left = steps
  for await (const line of createInterface({ input: child.stdout })) {
    told.push(line)
    if (line.startsWith('step ') && --left === 0) child.kill('SIGKILL')
  }
  await closed
  if (child.signalCode !== 'SIGKILL')
    throw new Error(`the process ended before it was killed, after ${told.join(', ')}: ${await complaint}`)
  return told
}
