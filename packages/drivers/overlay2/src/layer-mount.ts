import type { LayerId, Mount } from '@graphdriver/core'

/** A layer's directory as a mount. Disposing it calls `put` the first time only. */
export function layerMount(
  id: LayerId,
  path: string,
  readonly: boolean,
  put?: (id: LayerId) => Promise<void>,
): Mount {
  let held = put
  return {
    id,
    path,
    readonly,
    [Symbol.asyncDispose]: async () => {
      const once = held
      held = undefined
      await once?.(id)
    },
  }
}
