/** In a guest: tells of the first case of two, beside other output, and then makes the kernel panic or wait. */
import { writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { reportFormat, reportText } from '@graphdriver/core/conformance'

const [how] = process.argv.slice(2)
const result = { id: 'lifecycle/first', title: 'first', outcome: 'passed', milliseconds: 1 } as const
const run = { driver: 'none', filesystem: 'ext4', kernel: 'guest', cases: [result] }
process.stdout.write('{"what": "is printed besides"}\nno JSON\n')
process.stdout.write(`${JSON.stringify({ report: reportText({ format: reportFormat, runs: [run] }) })}\n`)
await setTimeout(1000)
if (how === 'panics') writeFileSync('/proc/sysrq-trigger', 'c')
if (how === 'hangs') await setTimeout(600_000)
process.exit(3)
