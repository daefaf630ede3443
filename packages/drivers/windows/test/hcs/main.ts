/** Runs all cases by one API, in Wine: `main.ts RESULTS API`; each result is a line of the file that is named. */
import { appendFileSync } from 'node:fs'
import { HcsContext } from './case.ts'
import { cases } from './cases.ts'

const [results = 'results.jsonl', name = 'vmcompute', only = ''] = process.argv.slice(2)
const api = name === 'computestorage' ? name : 'vmcompute'

for (const { name, api: theirs = api, run } of cases) {
  if (!name.includes(only) || theirs !== api) continue
  let error: string | undefined
  try {
    await run(new HcsContext(api))
  } catch (thrown) {
    error = thrown instanceof Error ? (thrown.stack ?? String(thrown)) : String(thrown)
  }
  appendFileSync(results, `${JSON.stringify({ name, error })}\n`)
}
