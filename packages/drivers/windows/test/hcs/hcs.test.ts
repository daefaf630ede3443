/** The engine for Windows under Wine, on the double of the layer API. What is shown here no Windows has seen. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { need, type WineMachine, wineMachine, wineRequirements, windowsPath } from '@tooling/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LayerApi } from './case.ts'
import { cases } from './cases.ts'
import { type HcsMutant, mutants } from './mutants.ts'
import { mutated } from './mutated.ts'

const missing = need(...wineRequirements)
const layerApis = ['vmcompute', 'computestorage'] as const satisfies readonly LayerApi[]
const program = path.join(import.meta.dirname, 'main.ts')

interface Result {
  readonly name: string
  readonly error?: string
}

async function resultsOf(
  machine: WineMachine,
  module: string,
  api: LayerApi = 'vmcompute',
): Promise<ReadonlyMap<string, Result>> {
  const file = path.join(await mkdtemp(path.join(tmpdir(), 'hcs-')), 'results.jsonl')
  const { status, output } = await machine.run(module, [windowsPath(file), api])
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter((line) => line !== '')
  const results = lines.map((line) => JSON.parse(line) as Result)
  if (status !== 0)
    throw new Error(`node under wine ended with ${status} after ${results.length} cases:\n${output}`)
  return new Map(results.map((result) => [result.name, result]))
}

describe.skipIf(missing !== undefined)(`the double of Windows (${missing ?? 'under Wine'})`, () => {
  let machine: WineMachine
  const results = new Map<LayerApi, ReadonlyMap<string, Result>>()

  beforeAll(async () => {
    machine = await wineMachine()
    for (const api of layerApis) results.set(api, await resultsOf(machine, program, api))
  }, 600_000)

  afterAll(async () => {
    await machine[Symbol.asyncDispose]()
  }, 120_000)

  describe.each(layerApis)('%s.dll', (api) => {
    const own = cases.filter((one) => one.api === undefined || one.api === api)
    test.each(own.map(({ name }) => name))('%s', (name) => {
      expect(results.get(api)?.get(name)).toEqual({ name })
    })
  })

  test.each([
    ['vmcompute', 'no-containers', 'Enable-WindowsOptionalFeature'],
    ['computestorage', 'no-api', 'leave the option api'],
  ] as const)('without %s.dll it says so, with the remedy', { timeout: 120_000 }, async (api, code, hint) => {
    await using bare = await wineMachine()
    await rm(path.join(bare.drive, `windows/system32/${api}.dll`))
    const found = await resultsOf(bare, path.join(import.meta.dirname, 'probe.ts'), api)
    expect(found.get('probe')).toMatchObject({
      probe: { supported: false, code, hint: expect.stringContaining(hint) },
      opened: 'GD_DRIVER_UNSUPPORTED',
    })
  })

  /** Names of the cases that failed. */
  async function failedOn(mutant: HcsMutant): Promise<readonly string[]> {
    await using copy = await mutated(mutant)
    const found = await resultsOf(machine, copy.program, mutant.api).catch(() => undefined)
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
