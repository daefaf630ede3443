import { migrate as move, type MigrationProgress } from '@graphdriver/image'
import type { Invocation } from '../invocation.ts'
import { openProgress } from '../progress.ts'
import { Resources } from '../resources.ts'
import type { Stores } from '../stores.ts'
import { beginMigration, endMigration, noteFinished } from './left-behind.ts'
import { openSide } from './side.ts'

/**
 * Until all is there the target counts for nothing, and then the source does, which changes in one step. Whenever this is killed,
 * the root is one driver's, and doing it again goes on.
 */
export async function carryOver(invocation: Invocation, source: Stores, to: string): Promise<void> {
  const { settings, signal } = invocation
  const { root } = settings
  const from = source.layers.driver.name
  const finished = await beginMigration(root, from, to)
  await using open = new Resources()
  const { stores: target } = await openSide(invocation, open, to, false)
  await target.layers.collect({ signal })
  await target.images.collect()
  using progress = await openProgress(settings.progress && !settings.json)
  const words = { stack: 'stacks of layers', image: 'images', writable: 'writable layers' } as const
  const onProgress = ({ kind, done, total }: MigrationProgress): void => {
    if (done === 1) progress.start(kind, words[kind], total)
    progress.advance(kind, done)
    if (done === total) progress.finish(kind, words[kind], String(total))
  }
  await move(source, target, {
    finished,
    onProgress,
    signal,
    onFinished: async (name) => {
      finished.add(name)
      await noteFinished(root, from, to, finished)
    },
  })
  await endMigration(root, from, to)
}
