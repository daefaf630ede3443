/** What the command itself keeps under a data root, in `.graphdriver`, where no engine looks. */
import { mkdir, readlink, rm, symlink } from 'node:fs/promises'
import path from 'node:path'
import { leftBehind } from '@graphdriver/core'
import { isMountPoint, isUnfinished, namesIn, unmountTree } from '@graphdriver/sys'

const planPrefix = 'plan-'
/** Of a migration that is under way; see migration/left-behind.ts. */
const journalForm = /^migration-(.+)-to-(.+)\.json$/

function workplaceOf(root: string): string {
  return path.join(root, '.graphdriver')
}

/** Where blobs of a pull are until the image is whole. */
export function downloadsOf(root: string): string {
  return path.join(workplaceOf(root), 'downloads')
}

/**
 * A root of its own for a driver that is only asked what it can do, on the filesystem that the driver would have: its directory may
 * be one that was mounted for it. Disposing it deletes it.
 */
export async function planningRoot(
  root: string,
  driver: string,
): Promise<{ readonly path: string } & AsyncDisposable> {
  const name = `${planPrefix}${process.pid}`
  const note = path.join(workplaceOf(root), name)
  const home = path.join(root, driver)
  if (!isMountPoint(home)) {
    await mkdir(note, { mode: 0o700 })
    return { path: note, [Symbol.asyncDispose]: () => discard(note) }
  }
  const place = path.join(home, `.graphdriver-${name}`)
  // First, by which whoever comes after a kill finds it.
  await symlink(place, note)
  await mkdir(place, { mode: 0o700 })
  return { path: place, [Symbol.asyncDispose]: () => discard(note) }
}

/** A driver that was only asked may have been killed with something mounted. */
async function discard(note: string): Promise<void> {
  const place = await readlink(note).catch(() => note)
  unmountTree(place)
  await rm(place, { recursive: true, force: true })
  await rm(note, { force: true })
}

/** Deletes what killed commands left there. Only with the root locked. */
export async function tidyWorkplace(root: string): Promise<void> {
  const directory = workplaceOf(root)
  const names = await namesIn(directory)
  const behind = names.some((name) => journalForm.test(name)) ? await leftBehind(root) : {}
  const isOver = (name: string): boolean => {
    const [, from, to] = journalForm.exec(name) ?? []
    return from !== undefined && to !== undefined && behind[to] !== from
  }
  for (const name of names) {
    const left = path.join(directory, name)
    if (name.startsWith(planPrefix)) await discard(left)
    else if (isUnfinished(name) || isOver(name)) await rm(left, { force: true })
  }
}
