import type { ConformanceCase } from '@graphdriver/core/conformance'
import { describe, expect, test } from 'vitest'
import { missingGuest } from '../src/index.ts'
import { GuestResults, inGuest } from '../src/guest/results.ts'

const missing = await missingGuest()

const cases: readonly ConformanceCase[] = ['first', 'second', 'third'].map((title) => ({
  id: `lifecycle/${title}`,
  title,
  run: () => Promise.resolve(),
}))

describe.skipIf(missing !== undefined)(`results of a guest (${missing ?? 'as root'})`, () => {
  test.each([
    ['whose kernel panics', 'panics', /the guest died: [^]*sysrq/i],
    ['that has no time left', 'hangs', /was ended after 10 s/],
    ['whose program ends early', 'ends', /its program ended with 3/],
  ])(
    'of one %s, the next case says why and what came before stays',
    { timeout: 60_000 },
    async (_, how, why) => {
      const results = new GuestResults(cases)
      const program = [new URL('dying-examination.ts', import.meta.url), how] as const
      await results.follow(inGuest({ program, seconds: 10 }))
      await expect(results.of('lifecycle/first')).resolves.toMatchObject({ result: { outcome: 'passed' } })
      const second = await results.of('lifecycle/second')
      expect(second).toMatchObject({
        result: { outcome: 'failed', reason: 'the guest ended without its result' },
        error: expect.stringMatching(why) as string,
      })
      expect(second.error).toContain('{"what": "is printed besides"}\nno JSON\n')
      const third = await results.of('lifecycle/third')
      expect(third.result.reason).toBe('the guest had ended at lifecycle/second')
      expect(third.error).toBeUndefined()
      const run = await results.run()
      expect(run).toMatchObject({ driver: 'none', kernel: 'guest' })
      expect(run?.cases.map(({ outcome }) => outcome)).toEqual(['passed', 'failed', 'failed'])
    },
  )
})
