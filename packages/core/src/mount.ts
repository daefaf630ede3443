import type { LayerId } from './id.ts'

/**
 * A layer made visible at a path. Disposing it is `put`: the last one out unmounts. Disposing twice is once.
 *
 * ```ts
 * await using mount = await driver.get(id)
 * await readFile(`${mount.path}/etc/os-release`)
 * ```
 */
export interface Mount extends AsyncDisposable {
  readonly id: LayerId
  /** Absolute; the same for every mount of this layer. */
  readonly path: string
  /** True when writing would fail or, with drivers that cannot stop it, damage layers above. */
  readonly readonly: boolean
}

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
