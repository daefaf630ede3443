/** Runs all cases, in Wine; each result is a line of the file that is named. */
import { appendFileSync } from 'node:fs'
import { HcsContext } from './case.ts'
import { cases } from './cases.ts'

const [results = 'results.jsonl', only = ''] = process.argv.slice(2)

for (const { name, run } of cases) {
  if (!name.includes(only)) continue
  let error: string | undefined
  try {
    await run(new HcsContext())
  } catch (thrown) {
    error = thrown instanceof Error ? (thrown.stack ?? String(thrown)) : String(thrown)
  }
  appendFileSync(results, `${JSON.stringify({ name, error })}\n`)
}
