/** Steps of drivers that only guests have: this program runs in one, and tells its rows line by line. */
import path from 'node:path'
import { missingGuest, runInGuest } from '@tooling/lab'
import type { StepRow } from './report.ts'

const mark = 'row '

/** How a row is told to who started the guest. */
export function tellRow(row: StepRow): void {
  console.log(`${mark}${JSON.stringify(row)}`)
}

/**
 * @param words of the command line, for the program in the guest
 * @param onRow hears each row as it is told
 * @param onLine hears all else
 */
export async function stepsInGuest(
  words: readonly string[],
  onRow: (row: StepRow) => void,
  onLine: (line: string) => void,
): Promise<void> {
  const missing = await missingGuest()
  if (missing !== undefined) {
    onLine(missing)
    return
  }
  let rest = ''
  const hear = (line: string): void => {
    if (line.startsWith(mark)) onRow(JSON.parse(line.slice(mark.length)) as StepRow)
    else if (line !== '') onLine(line)
  }
  const { exitCode, stderr } = await runInGuest({
    command: [process.execPath, path.join(import.meta.dirname, 'main.ts'), ...words],
    scratch: { filesystem: 'ext4', sizeMiB: 8192 },
    disks: [{ sizeMiB: 4096 }],
    seconds: 4 * 3600,
    onOutput(text) {
      const lines = `${rest}${text}`.split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) hear(line)
    },
  })
  hear(rest)
  // 1 when something was lost, which its lines have told.
  if (exitCode > 1) throw new Error(`the guest ended with ${exitCode}: ${stderr}`)
}
