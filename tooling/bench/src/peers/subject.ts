/** Programs of our own that do a work in a process of theirs, as a user of the packages would. */
import path from 'node:path'
import type { Samples } from '../work.ts'
import { timed } from './process.ts'

const directory = path.join(import.meta.dirname, '../subject')

export async function subject(name: string, ...args: readonly string[]): Promise<Samples> {
  const { stdout } = await timed(process.execPath, [
    '--expose-gc',
    path.join(directory, `${name}.ts`),
    ...args,
  ])
  return JSON.parse(stdout) as Samples
}
