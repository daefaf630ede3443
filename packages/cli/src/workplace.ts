/** What the command itself keeps under a data root, in `.graphdriver`, where no engine looks. */
import { mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { leftBehind } from '@graphdriver/core'
import { isUnfinished, namesIn, unmountTree } from '@graphdriver/sys'

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

/** A root of its own for a driver that is only asked what it can do. Disposing it deletes it. */
export async function planningRoot(root: string): Promise<{ readonly path: string } & AsyncDisposable> {
  const place = path.join(workplaceOf(root), `${planPrefix}${process.pid}`)
  await mkdir(place, { mode: 0o700 })
  return { path: place, [Symbol.asyncDispose]: () => discard(place) }
}

/** A driver that was only asked may have been killed with something mounted. */
async function discard(place: string): Promise<void> {
  unmountTree(place)
  await rm(place, { recursive: true, force: true })
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
