/** The engine for Windows under Wine, on the double of the layer API. What is shown here no Windows has seen. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { need, type WineMachine, wineMachine, wineRequirements, windowsPath } from '@tooling/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cases } from './cases.ts'
import { type HcsMutant, mutants } from './mutants.ts'
import { mutated } from './mutated.ts'

const missing = need(...wineRequirements)
const program = path.join(import.meta.dirname, 'main.ts')

interface Result {
  readonly name: string
  readonly error?: string
}

async function resultsOf(machine: WineMachine, module: string): Promise<ReadonlyMap<string, Result>> {
  const file = path.join(await mkdtemp(path.join(tmpdir(), 'hcs-')), 'results.jsonl')
  const { status, output } = await machine.run(module, [windowsPath(file)])
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '')
  const results = lines.map((line) => JSON.parse(line) as Result)
  if (status !== 0)
    throw new Error(`node under wine ended with ${status} after ${results.length} cases:\n${output}`)
  return new Map(results.map((result) => [result.name, result]))
}

describe.skipIf(missing !== undefined)(`the double of Windows (${missing ?? 'under Wine'})`, () => {
  let machine: WineMachine
  let results: ReadonlyMap<string, Result>

  beforeAll(async () => {
    machine = await wineMachine()
    results = await resultsOf(machine, program)
  }, 600_000)

  afterAll(async () => {
    await machine[Symbol.asyncDispose]()
  }, 120_000)

  test.each(cases.map(({ name }) => name))('%s', (name) => {
    expect(results.get(name)).toEqual({ name })
  })

  test('without the feature Containers it says so, with the remedy', { timeout: 120_000 }, async () => {
    await using bare = await wineMachine()
    await rm(path.join(bare.drive, 'windows/system32/vmcompute.dll'))
    const results = await resultsOf(bare, path.join(import.meta.dirname, 'probe.ts'))
    expect(results.get('probe')).toMatchObject({
      probe: {
        supported: false,
        code: 'no-containers',
        hint: expect.stringContaining('Enable-WindowsOptionalFeature'),
      },
      opened: 'GD_DRIVER_UNSUPPORTED',
    })
  })

  /** Names of the cases that failed. */
  async function failedOn(mutant: HcsMutant): Promise<readonly string[]> {
    await using copy = await mutated(mutant)
    const found = await resultsOf(machine, copy.program).catch(() => undefined)
    if (found === undefined) return ['the process ended']
    return [...found.values()].filter(({ error }) => error !== undefined).map(({ name }) => name)
  }

  // Who tests the tests?
  test('a copy of the driver passes', { timeout: 300_000 }, async () => {
    expect(
      await failedOn({ does: 'the same', package: 'sys', from: 'filterDriver = 1', to: 'filterDriver = 1' }),
    ).toEqual([])
  })

  test.each(mutants)('a driver that $does is caught', { timeout: 300_000 }, async (mutant) => {
    expect(await failedOn(mutant)).not.toEqual([])
  })
})
