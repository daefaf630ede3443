import { readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { sample } from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import {
  allCases,
  type CaseResult,
  type ConformanceCase,
  perform,
  runCase,
  subjectOf,
  temporaryDirectory,
  unmet,
} from '../../src/conformance/index.ts'
import { intents } from '../../src/conformance/recipe/intent.ts'
import { forRecipes } from '../../src/conformance/recipe/property.ts'
import { resolve, type Rules } from '../../src/conformance/recipe/resolve.ts'
import { copyingDriver } from './copying-driver.ts'

const missing = unmet({ root: true, command: 'setfattr', package: 'attr' })

const everything: Rules = {
  maxLayers: 6,
  copyUp: 'none',
  diffable: false,
  owners: true,
  deviceNodes: true,
  xattrs: true,
}
const least: Rules = {
  maxLayers: 3,
  copyUp: 'file',
  diffable: true,
  owners: false,
  deviceNodes: false,
  xattrs: false,
}

function caseOf(id: string): ConformanceCase {
  const found = allCases.find((one) => one.id === id)
  if (found === undefined) throw new Error(`${id} is no case`)
  return found
}

/** Forgets links of every child that lie in a directory: one deed cannot show it. */
const forgetful = copyingDriver((tree) => {
  for (const name of readdirSync(tree)) {
    for (const inside of ['.hidden', 'a'])
      rmSync(path.join(tree, name, inside), { recursive: true, force: true })
  }
})

function stepsIn(text: string): readonly string[] {
  return text.split('\n').filter((line) => line.startsWith('    ') && line.trimStart() !== line)
}

async function generatedTrees(environment: Readonly<Record<string, string>>): Promise<CaseResult> {
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
  try {
    return await runCase(subjectOf(forgetful), caseOf('generated/trees'))
  } finally {
    vi.unstubAllEnvs()
  }
}

describe.skipIf(missing !== undefined)(`on a plain directory (${missing ?? 'as root'})`, () => {
  test.each([
    ['everything', everything],
    ['as little as can be', least],
  ])(
    'every step of random recipes can be done, with %s',
    async (_, rules) => {
      const done = sample(intents(), { seed: 1, numRuns: 100 }).map(async (wanted) => {
        await using directory = await temporaryDirectory()
        const recipes = resolve(wanted, rules)
        for (const [layer, recipe] of recipes.entries()) await perform(directory.path, recipe, layer)
        return recipes.length
      })
      expect(Math.max(...(await Promise.all(done)))).toBe(rules.maxLayers)
    },
    120_000,
  )

  test(
    'a failure is made short, and can be had again by its seed and path',
    { timeout: 120_000 },
    async () => {
      const first = await generatedTrees({})
      expect(first.outcome).toBe('failed')
      const reason = first.reason ?? ''
      expect(stepsIn(reason).length).toBeLessThanOrEqual(3)
      const [, seed = '', found = ''] = /GRAPHDRIVER_SEED=(\S+) GRAPHDRIVER_PATH=([^ ,]+)/.exec(reason) ?? []
      const again = await generatedTrees({ GRAPHDRIVER_SEED: seed, GRAPHDRIVER_PATH: found })
      expect(stepsIn(again.reason ?? '')).toEqual(stepsIn(reason))
      expect(again.milliseconds).toBeLessThan(first.milliseconds)
    },
  )
})

test('steps keep to the rules', () => {
  const recipes = sample(intents(), { seed: 2, numRuns: 200 }).map((wanted) => resolve(wanted, least))
  const steps = recipes.flat(2)
  expect(Math.max(...recipes.map(({ length }) => length))).toBe(3)
  expect(new Set(steps.map((step) => step.do))).toEqual(
    new Set(['file', 'append', 'directory', 'symlink', 'link', 'rename', 'remove', 'attributes']),
  )
  expect(steps.filter((step) => 'with' in step && step.with?.uid !== undefined)).toEqual([])
})

test('the same seed gives the same recipes, and the number of them can be chosen', async () => {
  const tried = async (environment: Readonly<Record<string, string>>): Promise<readonly unknown[]> => {
    const seen: unknown[] = []
    await forRecipes({ rules: everything, runs: 3, environment }, async ({ recipes }) => {
      seen.push(recipes)
    })
    return seen
  }
  const standard = await tried({})
  expect(standard).toHaveLength(3)
  expect(await tried({})).toEqual(standard)
  expect(await tried({ GRAPHDRIVER_SEED: '7' })).not.toEqual(standard)
  expect(await tried({ GRAPHDRIVER_SEED: 'random' })).not.toEqual(standard)
  expect(await tried({ GRAPHDRIVER_RUNS: '5' })).toHaveLength(5)
  await expect(tried({ GRAPHDRIVER_SEED: 'soon' })).rejects.toThrow('GRAPHDRIVER_SEED is soon')
})
