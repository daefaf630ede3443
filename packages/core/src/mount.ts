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
