import { CannotRun } from '../lab.ts'
import { command } from './command.ts'
import type { Requirement } from './requirement.ts'

/** What `asOrdinaryUser` needs. */
export const ordinaryUser: readonly Requirement[] = [
  { root: true },
  { command: 'setpriv', package: 'util-linux' },
]

/** Nobody's on any host, and with no name: an id is all that a filesystem asks for. */
export const ordinaryId = 61_234

/**
 * Runs a program as a user without privileges and gives its standard output; failure throws with what it wrote to
 * standard error.
 *
 * @param cwd entered before the privileges are dropped: what is in it is reached by relative paths, whatever stands above
 * @throws CannotRun in a user namespace that has no other user
 */
export async function asOrdinaryUser(
  cwd: string,
  program: string,
  ...args: readonly string[]
): Promise<string> {
  const drop = [`--reuid=${ordinaryId}`, `--regid=${ordinaryId}`, '--clear-groups']
  try {
    return await command('setpriv', [...drop, program, ...args], { cwd })
  } catch (error) {
    if (error instanceof Error && error.message.includes('setpriv: set'))
      throw new CannotRun('there is no other user in this user namespace', ['root'])
    throw error
  }
}
