/** Mounts AUFS's layers where the kernel has no aufs, by overlayfs. */
import path from 'node:path'
import type { OverlayWhiteouts } from '@graphdriver/archive'
import { type CallOptions, GraphDriverError, type LayerId } from '@graphdriver/core'
import type { LayerQuota, StackVolumes } from '@graphdriver/quota'
import { ensureDirectory, getpagesize, isSystemError, lgetxattr, tryLockDirectory } from '@graphdriver/sys'
import {
  isStackMounted,
  maximumDepth,
  mountExclusively,
  type OverlayHost,
  type Stack,
  unmountExclusively,
} from '@graphdriver/sys/overlayfs'
import type { Tools } from './construction.ts'
import type { Engine, Reading, StackedLayer } from './engine.ts'
import { changedLayers, formOf, Forms, isAnyMounted, isCommitted, lockForm } from './form.ts'
import { type LayerPaths, layerPaths, nothing, readParents } from './layout.ts'
import { Shades } from './shade.ts'

export class OverlayEngine implements Engine {
  readonly name = 'overlay'
  readonly nativeDiff: OverlayHost['nativeDiff']
  readonly backing: string
  readonly status: Engine['status'] = []
  readonly #home: string
  readonly #host: OverlayHost
  readonly #forms: Forms
  readonly #shades: Shades
  readonly #limits: LayerQuota

  constructor(home: string, host: OverlayHost, { workers, limits }: Tools) {
    this.#limits = limits
    this.#home = home
    this.#host = host
    this.nativeDiff = host.nativeDiff
    this.backing = host.backing
    this.#forms = new Forms(host.xattr)
    this.#shades = new Shades(home, host.xattr, workers)
  }

  isMounted(target: string): boolean {
    return isStackMounted(target)
  }

  /** What the child's stack needs is made at once: creating may take long, mounting should not. */
  async commit(id: LayerId): Promise<void> {
    await this.#shades.directoriesOf([id])
  }

  async mount(layer: StackedLayer, label: string | undefined): Promise<boolean> {
    const { id, parents } = layer
    const paths = layerPaths(this.#home, id)
    if (isCommitted(paths)) return this.#mountCommitted(layer, label)
    const below = await this.#shades.directoriesOf(parents)
    using _ = await lockForm(this.#home, id, 'exclusive')
    if (isStackMounted(paths.mount)) return false
    if (isCommitted(paths)) return this.#mountCommitted(layer, label)
    await this.#forms.toOverlay(paths)
    try {
      const relative = (place: string): string => path.relative(this.#home, place)
      const upper = { diff: relative(paths.diff), work: relative(paths.work) }
      // Overlayfs wants something below, also where an opaque root, which it does not know, leaves nothing.
      const lower = below.length === 0 || this.#hidesAll(paths) ? [nothing] : below
      return await this.#mountAt(id, { lower, upper, options: this.#host.options, label })
    } catch (error) {
      await this.#forms.toAufs(paths).catch(() => undefined)
      throw error
    }
  }

  async unmount({ id }: StackedLayer): Promise<void> {
    const paths = layerPaths(this.#home, id)
    using _ = await lockForm(this.#home, id, isCommitted(paths) ? 'shared' : 'exclusive')
    unmountExclusively({ target: paths.mount, lock: paths.work })
    try {
      // That removed the mount point, which AUFS has always.
      ensureDirectory(paths.mount, 0o755)
      if (!isCommitted(paths)) await this.#forms.toAufs(paths)
    } catch (error) {
      // On a full disk the layer stays noted as what it is, and whoever comes next goes on from there.
      if (!isSystemError(error, 'ENOSPC', 'EDQUOT')) throw error
    }
  }

  async read(
    { id }: StackedLayer,
    hold: () => Promise<AsyncDisposable>,
    options: CallOptions,
  ): Promise<Reading> {
    const paths = layerPaths(this.#home, id)
    const { xattr } = this.#host
    if (!isCommitted(paths)) {
      const held = await hold()
      return {
        whiteouts: { format: 'overlay', xattr },
        [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
      }
    }
    const lock = await lockForm(this.#home, id, 'shared', options.signal)
    return {
      whiteouts: { format: formOf(paths) === 'aufs' ? 'aufs' : 'overlay', xattr },
      [Symbol.asyncDispose]: async () => lock[Symbol.dispose](),
    }
  }

  async write<T>(
    { id, parents }: StackedLayer,
    apply: (lowers: readonly string[], whiteouts: OverlayWhiteouts) => Promise<T>,
    { signal }: CallOptions,
  ): Promise<T> {
    const paths = layerPaths(this.#home, id)
    const below = await this.#shades.directoriesOf(parents)
    const lowers = below.map((directory) => path.join(this.#home, directory))
    using _ = await lockForm(this.#home, id, 'exclusive', signal)
    return await this.#forms.inOverlay(
      paths,
      () => apply(lowers, { format: 'overlay', xattr: this.#host.xattr }),
      () => isStackMounted(paths.mount),
    )
  }

  async settle(volumes: StackVolumes): Promise<void> {
    for (const id of changedLayers(this.#home)) {
      await using _opened = await volumes.open(id)
      const paths = layerPaths(this.#home, id)
      using _ = tryLockDirectory(paths.lock, 'exclusive')
      // Another process is at it.
      if (_ === undefined || isStackMounted(paths.mount)) continue
      // Its children's stacks have it in the format that it is in.
      if (isCommitted(paths) && formOf(paths) === 'overlay' && isAnyMounted(this.#home)) continue
      await this.#forms.toAufs(paths)
    }
  }

  /** A layer that has a child is below its own mount too, so that nothing can be written to it. */
  async #mountCommitted({ id, parents }: StackedLayer, label: string | undefined): Promise<boolean> {
    const lower = await this.#shades.directoriesOf([id, ...parents])
    // Overlayfs wants two.
    if (lower.length === 1) lower.push(nothing)
    return this.#mountAt(id, { lower, options: this.#host.options, label })
  }

  async #mountAt(id: LayerId, stack: Stack): Promise<boolean> {
    const { own, mount, work } = layerPaths(this.#home, id)
    const { appendsLower } = this.#host
    try {
      const prepare = (): void => this.#limits.makeRoom(own, work)
      const point = { home: this.#home, target: mount, lock: work, appendsLower, prepare }
      return await mountExclusively(point, stack)
    } catch (error) {
      // What a failed mount removes, AUFS has always.
      ensureDirectory(mount, 0o755)
      if (!isSystemError(error, 'E2BIG')) throw error
      const depth = readParents(this.#home, id).length + 1
      throw new GraphDriverError(
        'GD_MAX_DEPTH',
        `layer ${id} is the ${depth}th of its stack, which is more than this kernel mounts: ${error.message}`,
        { id, depth, limit: maximumDepth({ pageSize: getpagesize(), appendsLower }) },
        { cause: error },
      )
    }
  }

  #hidesAll({ diff }: LayerPaths): boolean {
    return lgetxattr(diff, `${this.#host.xattr}.overlay.opaque`)?.toString() === 'y'
  }
}
