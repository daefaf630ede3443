/** Starts the conformance suite on the engine for Windows, under Wine, on the double of the layer API. */
import path from 'node:path'
import { wineMachine } from '@tooling/lab'
import { wineTree } from './tree.ts'

/** At the same time, each with a part of the cases. */
const processes = 2

/** @param seconds that it may take */
export async function startSuite(
  onOutput: (text: string) => void,
  seconds: number,
): Promise<{ readonly exitCode: number | null | undefined; readonly stderr: string }> {
  await using machine = await wineMachine()
  await using tree = await wineTree()
  const program = path.join(tree.tests, 'suite/main.ts')
  const runs = await Promise.all(
    Array.from({ length: processes }, async (_, part) =>
      machine.run(program, [String(part), String(processes)], { onOutput: byLines(onOutput), seconds }),
    ),
  )
  const failed = runs.find(({ status }) => status !== 0) ?? runs[0]
  return { exitCode: failed?.status, stderr: failed?.output.slice(-2000) ?? '' }
}

/** Two processes must not write into each other's lines. */
function byLines(onOutput: (text: string) => void): (text: string) => void {
  let rest = ''
  return (text) => {
    const lines = `${rest}${text}`.split('\n')
    rest = lines.pop() ?? ''
    if (lines.length > 0) onOutput(`${lines.join('\n')}\n`)
  }
}
