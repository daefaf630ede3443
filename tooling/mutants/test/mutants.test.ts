import {
  allCases,
  type CaseId,
  type ConformanceCase,
  runCase,
  subjectOf,
  unmet,
} from '@graphdriver/core/conformance'
import { filesystemLab } from '@tooling/lab'
import { afterAll, describe, expect, test } from 'vitest'
import { definitionOf } from '../src/mutant.ts'
import { moduleOf } from '../src/mutant-module.ts'
import { mutants } from '../src/mutants.ts'

// Some mutants need a dozen recipes to be found out.
process.env['GRAPHDRIVER_RUNS'] = '12'

const missing = unmet({ root: true, command: 'mkfs.ext4', package: 'e2fsprogs' })

// In memory, since a thousand cases run here.
const lab = filesystemLab('tmpfs')

// What a mutant has left mounted goes with it, and is no surprise.
afterAll(async () => {
  await Promise.allSettled([lab[Symbol.asyncDispose]()])
})

function caseOf(id: CaseId): ConformanceCase {
  const found = allCases.find((one) => one.id === id)
  if (found === undefined) throw new Error(`${id} is no case of the suite`)
  return found
}

describe.skipIf(missing !== undefined)(`mutants (${missing ?? 'as root'})`, () => {
  for (const mutant of mutants) {
    describe(`it ${mutant.does}`, () => {
      test.each(mutant.caughtBy)('is caught by %s', async (id) => {
        const { outcome } = await runCase(
          subjectOf(definitionOf(mutant), { lab, module: mutant.module ?? moduleOf(mutant) }),
          caseOf(id),
        )
        expect(outcome).toBe('failed')
      })
    })
  }
})

test('every case can fail: some mutant is caught by it', () => {
  const caught = new Set(mutants.flatMap(({ caughtBy }) => caughtBy))
  expect(allCases.map(({ id }) => id).filter((id) => !caught.has(id))).toEqual([])
})

test('no mutant is named twice, and every id is that of a case once', () => {
  const names = mutants.map(({ does }) => does)
  expect(names).toEqual([...new Set(names)])
  const ids = allCases.map(({ id }) => id)
  expect(ids).toEqual([...new Set(ids)])
  const titles = allCases.map(({ title }) => title)
  expect(titles).toEqual([...new Set(titles)])
})
