import { UsageError } from './failure.ts'

interface Identified {
  readonly id: string
}

/**
 * The cases that patterns choose, in their own order; all of them without a pattern. A pattern is an id in which `*`
 * stands for anything, or an area.
 *
 * @throws UsageError for a pattern that chooses none
 */
export function chooseCases<T extends Identified>(
  cases: readonly T[],
  patterns: readonly string[] = [],
): readonly T[] {
  if (patterns.length === 0) return cases
  const tests = patterns.map(testOf)
  const idle = patterns.find((_, at) => !cases.some((one) => tests[at]?.(one) === true))
  if (idle !== undefined) throw new UsageError(`no case is called '${idle}'; --list shows them`)
  return cases.filter((one) => tests.some((test) => test(one)))
}

function testOf(pattern: string): (one: Identified) => boolean {
  const literal = (text: string): string => text.replaceAll(/[\\^$.|?+()[\]{}]/g, String.raw`\$&`)
  const whole = new RegExp(`^${pattern.split('*').map(literal).join('.*')}$`)
  return ({ id }) => whole.test(id) || id.startsWith(`${pattern}/`)
}
