/**
 * `node within.ts COMMAND [ARGUMENT…]`: runs a program whose temporary files, loop images and mounts all go into one
 * directory of the lab's, and takes that down afterwards.
 *
 * What was left by a run that was killed goes first. So whatever a test makes with `os.tmpdir()`, with or without
 * the lab's help, is found by the next run at the latest.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { constants } from 'node:os'
import { reap, temporaryDirectory } from '@graphdriver/core/conformance'

const [file, ...args] = process.argv.slice(2)
if (file === undefined) throw new Error('within.ts: name the program to run')

for (const name of reap()) console.error(`lab: removed ${name}, left by a run that was killed`)
const directory = await temporaryDirectory()
// As /tmp is: some tests are those of ordinary users.
chmodSync(directory.path, 0o1777)
try {
  const child = spawn(file, args, { stdio: 'inherit', env: { ...process.env, TMPDIR: directory.path } })
  // A terminal sends these to the whole group; a supervisor only to us, and the program has to hear of it.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal))
  const [code, signal]: [number | null, NodeJS.Signals | null] = await once(child, 'exit').then(([a, b]) => [
    a,
    b,
  ])
  process.exitCode = code ?? 128 + constants.signals[signal ?? 'SIGTERM']
} finally {
  await directory[Symbol.asyncDispose]()
}
