/** What the command itself keeps under a data root, in `.graphdriver`, where no engine looks. */
import { mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { leftBehind } from '@graphdriver/core'
import { namesIn, unfinishedFiles } from '@graphdriver/sys'

const planPrefix = 'plan-'

function workplaceOf(root: string): string {
  return path.join(root, '.graphdriver')
}

/** A root of its own for a driver that is only asked what it can do. Disposing it deletes it. */
export async function planningRoot(root: string): Promise<{ readonly path: string } & AsyncDisposable> {
  const place = path.join(workplaceOf(root), `${planPrefix}${process.pid}`)
  await mkdir(place, { mode: 0o700 })
  return { path: place, [Symbol.asyncDispose]: () => rm(place, { recursive: true, force: true }) }
}

/** Deletes what killed commands left there. Only with the root locked. */
export async function tidyWorkplace(root: string): Promise<void> {
  const directory = workplaceOf(root)
  const behind = await leftBehind(root)
  const isOver = (name: string): boolean => {
    const [, from, to] = /^migration-(.+)-to-(.+)\.json$/.exec(name) ?? []
    return from !== undefined && to !== undefined && behind[to] !== from
  }
  const over = (await namesIn(directory)).filter((name) => name.startsWith(planPrefix) || isOver(name))
  for (const left of [
    ...(await unfinishedFiles(directory)),
    ...over.map((name) => path.join(directory, name)),
  ])
    await rm(left, { recursive: true, force: true })
}
