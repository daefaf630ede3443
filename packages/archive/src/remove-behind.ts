import type { CallOptions } from '@graphdriver/core'
import type { Scratch } from '@graphdriver/sys'
import type { TreeWorkers } from './tree-workers.ts'

export interface DiscardOptions extends CallOptions {
  /** Called when the rest of a large tree could not be removed after the call had returned. */
  readonly onLeft?: (() => void) | undefined
}

/**
 * Removes a hidden directory, and ends its lock when it is gone. A large one goes on being removed when this returns: it is
 * out of sight, and if the process dies whoever opens the place next finds it without its lock.
 *
 * @param around what is to be done before the tree is removed, and after
 */
export async function removeBehind(
  hidden: Scratch,
  workers: TreeWorkers,
  { signal, onLeft }: DiscardOptions,
  around: (remove: () => Promise<void>) => Promise<void> = (remove) => remove(),
): Promise<void> {
  let isLarge = false
  const { promise: large, resolve } = Promise.withResolvers<void>()
  const onLarge = (): void => {
    isLarge = true
    resolve()
  }
  const gone = around(() => workers.remove(hidden.path, { signal, onLarge, unmounts: true })).finally(() =>
    hidden[Symbol.dispose](),
  )
  await Promise.race([gone, large])
  if (isLarge) gone.catch(() => onLeft?.())
}
