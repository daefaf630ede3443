/**
 * `node victim.ts DRIVER ROOT OPERATION INPUTS`: a process that is to die. It prints `ready`, waits for a line, does one operation
 * on a store, and prints `done`, or `failed: ` and why.
 */
import { once } from 'node:events'
import { argv, stdin, stdout } from 'node:process'
import type { Inputs } from './inputs.ts'
import { operationNamed } from './operations.ts'
import { definitionOf, openRoot } from './root.ts'

const [driver = '', root = '', name = '', inputs = ''] = argv.slice(2)
const operation = operationNamed(name)
definitionOf(driver)
const given = JSON.parse(inputs) as Inputs

stdout.write('ready\n')
await once(stdin, 'data')
stdin.destroy()
try {
  if ('alone' in operation) await operation.alone(driver, root)
  else {
    await using opened = await openRoot(driver, root)
    await operation.run(opened, given)
  }
  stdout.write('done\n')
} catch (error) {
  stdout.write(`failed: ${JSON.stringify(String(error))}\n`)
}
