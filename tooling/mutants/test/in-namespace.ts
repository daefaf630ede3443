/** Runs in a user namespace of its own: the cases about namespaces on the reference driver, told as JSON. */
import { allCases, runCase, subjectOf } from '@graphdriver/core/conformance'
import reference from '../src/reference.ts'

const outcomes: Record<string, string> = {}
for (const one of allCases.filter((some) => some.id.startsWith('namespaces/'))) {
  const { outcome, reason } = await runCase(subjectOf(reference), one)
  outcomes[one.id] = outcome === 'failed' ? `failed: ${reason ?? ''}` : outcome
}
process.stdout.write(JSON.stringify(outcomes))
