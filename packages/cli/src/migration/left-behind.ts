/** Which drivers of a root hold what was moved to another, or is being moved there, and so do not count. */
import { existsSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import path from 'node:path'
import { GraphDriverError, hasState, leftBehind, leftBehindFile } from '@graphdriver/core'
import { writeAtomically } from '@graphdriver/sys'

/** In the place of the driver to which all was moved: nothing is left, but for what is its owner's, such as a pool. */
const emptied = ''

export function isHeld(behind: string | undefined): boolean {
  return behind !== undefined && behind !== emptied
}

/** @throws GD_MIGRATION_REFUSED */
export async function requireMovable(root: string, from: string, to: string): Promise<void> {
  const refuse = (message: string, reason: 'same' | 'absent' | 'unfinished'): never => {
    throw new GraphDriverError('GD_MIGRATION_REFUSED', message, { from, to, reason })
  }
  if (from === to) refuse(`--from and --to are both ${from}; name another driver to move to`, 'same')
  const behind = await leftBehind(root)
  if (behind[from] === emptied || !(await hasState(root, from)))
    refuse(`${root} holds nothing of ${from}; graphdriver info tells what it holds`, 'absent')
  if (isHeld(behind[from]))
    refuse(
      `what ${from} holds at ${root} was moved to ${behind[from]} already; graphdriver migrate --finish deletes it`,
      'unfinished',
    )
  // What a run left that was cut short is gone on with; what is older is not what the source has today.
  if (isHeld(behind[to]) && !existsSync(journalOf(root, from, to)))
    refuse(
      `${to} still holds what was moved to ${behind[to]}; graphdriver migrate --finish deletes it`,
      'unfinished',
    )
}

/** Names of writable layers that are whole in the target: a line each, for a run that goes on where another was killed. */
function journalOf(root: string, from: string, to: string): string {
  return path.join(root, '.graphdriver', `migration-${from}-to-${to}.json`)
}

/**
 * Until all is there the target counts for nothing.
 *
 * @returns the writable layers that a run has finished which was cut short
 */
export async function beginMigration(root: string, from: string, to: string): Promise<Set<string>> {
  const journal = journalOf(root, from, to)
  if ((await leftBehind(root))[to] === from && existsSync(journal))
    return new Set(JSON.parse(await readFile(journal, 'utf8')) as readonly string[])
  await writeAtomically(journal, '[]')
  await leaveBehind(root, to, from)
  return new Set()
}

export async function noteFinished(
  root: string,
  from: string,
  to: string,
  finished: ReadonlySet<string>,
): Promise<void> {
  await writeAtomically(journalOf(root, from, to), JSON.stringify([...finished]))
}

/** From now on the source counts for nothing, and the target is what the root holds: in one step. */
export async function endMigration(root: string, from: string, to: string): Promise<void> {
  await leaveBehind(root, from, to)
  await rm(journalOf(root, from, to), { force: true })
}

/** What a driver held is deleted. @param isGone its home too */
export async function noteEmptied(root: string, driver: string, isGone: boolean): Promise<void> {
  const behind = { ...(await leftBehind(root)) }
  delete behind[driver]
  const left = isGone ? behind : { ...behind, [driver]: emptied }
  await writeAtomically(leftBehindFile(root), JSON.stringify(left))
}

/** What one driver holds does not count any more, and what the other holds does. */
async function leaveBehind(root: string, driver: string, other: string): Promise<void> {
  const behind = { ...(await leftBehind(root)), [driver]: other }
  delete behind[other]
  await writeAtomically(leftBehindFile(root), JSON.stringify(behind))
}
