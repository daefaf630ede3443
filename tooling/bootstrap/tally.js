/** Adds up what vitest reported for every package. */
import { existsSync, readFileSync } from 'node:fs'

/** @typedef {{ passed: number, failed: number, skipped: number }} Tally */

/** @returns {Tally} of one report; a file that failed to load has no cases, and is a failure itself */
export function tallyReport(file) {
  if (!existsSync(file)) return { passed: 0, failed: 1, skipped: 0 }
  const report = JSON.parse(readFileSync(file, 'utf8'))
  const broken = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === 'failed' && !assertionResults.some((one) => one.status === 'failed'),
  )
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + (report.numTodoTests ?? 0),
  }
}

/** @returns {readonly string[]} what failed by its name, with the first lines of why; also of files that failed to load */
export function failuresIn(file) {
  if (!existsSync(file)) return [`${file} was not written`]
  const { testResults } = JSON.parse(readFileSync(file, 'utf8'))
  return testResults
    .filter(({ status }) => status === 'failed')
    .flatMap(({ name, message, assertionResults }) => {
      const failed = assertionResults.filter((one) => one.status === 'failed')
      if (failed.length === 0) return [`${name}: ${firstLines(message)}`]
      return failed.map(
        ({ fullName, failureMessages }) => `${name}: ${fullName}: ${firstLines(failureMessages[0])}`,
      )
    })
}

function firstLines(text = '') {
  return text.split('\n').slice(0, 6).join(' | ').slice(0, 600)
}

/** @param {readonly Tally[]} tallies @returns {Tally} */
export function sum(tallies) {
  const total = { passed: 0, failed: 0, skipped: 0 }
  for (const one of tallies) for (const key of Object.keys(total)) total[key] += one[key]
  return total
}
