/**
 * `node victim.ts DRIVER ROOT OPERATION INPUTS`: a process that is to die. It prints `ready`, waits for a line, does one operation
 * on a store, and prints `done`, or `failed: ` and why.
 */
import { once } from 'node:events'
import { flushCompileCache } from 'node:module'
import { argv, stdin, stdout } from 'node:process'
import type { Inputs } from './inputs.ts'
import { graphdriver } from './operation.ts'
import { operationNamed } from './operations.ts'
import { definitionOf, openRoot } from './root.ts'

const [driver = '', root = '', name = '', inputs = ''] = argv.slice(2)
const operation = operationNamed(name)
definitionOf(driver)
const given = JSON.parse(inputs) as Inputs

// It never ends by itself, when this would be done.
flushCompileCache()
const say = stdout.write.bind(stdout)
say('ready\n')
await once(stdin, 'data')
stdin.destroy()
try {
  if ('words' in operation) await beCommand(operation.words(driver, root))
  else {
    await using opened = await openRoot(driver, root)
    await operation.run(opened, given)
  }
  say('done\n')
} catch (error) {
  say(`failed: ${JSON.stringify(String(error))}\n`)
}

/** In this process: one that it started would live on when this one dies. */
async function beCommand(words: readonly string[]): Promise<void> {
  argv.splice(2, Number.POSITIVE_INFINITY, ...words)
  stdout.write = () => true
  await import(graphdriver)
  if (process.exitCode !== 0) throw new Error(`it ended with ${process.exitCode}`)
}
