/** The command as users have it: the built program in a process of its own. */
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ResultPromise, execa } from 'execa'

const cli = path.dirname(fileURLToPath(import.meta.resolve('@graphdriver/cli/package.json')))
export const program: string = path.join(cli, 'dist/main.js')

/** Where a call works. */
export interface Place {
  readonly root: string
  readonly driver: string
}

function argumentsOf({ root, driver }: Place, args: readonly string[]): readonly string[] {
  return [program, '--root', root, '--driver', driver, ...args]
}

const patient = { reject: false, stdin: 'ignore' } as const

/** Starts the command and does not wait for it; killing is the caller's. */
export function start(place: Place, ...args: readonly string[]): ResultPromise<typeof patient> {
  return execa(process.execPath, argumentsOf(place, args), patient)
}

/** Runs the command to its end and gives its standard output; a failure throws with what it said. */
export async function graphdriver(place: Place, ...args: readonly string[]): Promise<string> {
  const { stdout } = await execa(process.execPath, argumentsOf(place, args), { stdin: 'ignore' })
  return stdout
}
