/** The conformance suite on the engine for Windows, under Wine, on the double of the layer API: no Windows was there. */
import path from 'node:path'
import { allCases } from '@graphdriver/core/conformance'
import { need, wineMachine, wineRequirements } from '@tooling/lab'
import { toldConformance } from '@tooling/lab/guest-conformance'
import { wineTree } from './tree.ts'

const seconds = 2400
/** At the same time, each with a part of the cases. */
const processes = 2

toldConformance({
  title: 'windows (hcs) on the double',
  cases: allCases,
  report: '.turbo/conformance.json',
  missing: need(...wineRequirements),
  where: 'under Wine',
  seconds,
  async start(onOutput) {
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
  },
})

/** Two processes must not write into each other's lines. */
function byLines(onOutput: (text: string) => void): (text: string) => void {
  let rest = ''
  return (text) => {
    const lines = `${rest}${text}`.split('\n')
    rest = lines.pop() ?? ''
    if (lines.length > 0) onOutput(`${lines.join('\n')}\n`)
  }
}
