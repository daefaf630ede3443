/** Mounts AUFS's layers by aufs itself. */
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { OverlayWhiteouts, TreeWorkers } from '@graphdriver/archive'
import { type CallOptions, GraphDriverError, type LayerId } from '@graphdriver/core'
import type { StackVolumes } from '@graphdriver/quota'
import { getpagesize, isSystemError, SystemError, tryLockDirectory } from '@graphdriver/sys'
import { maximumBranches } from '../capabilities.ts'
import type { Engine, Reading, StackedLayer } from '../engine.ts'
import { changedLayers, commit, Forms, isCommitted, lockForm } from '../form.ts'
import { layerPaths } from '../layout.ts'
import { Shades } from '../shade.ts'
import { type AufsCalls, kernelCalls } from './calls.ts'
import type { KernelHost } from './host.ts'
import { type Branch, planMount } from './plan.ts'

const attempts = 5
const pause = 100
/** auplink's way to say EINVAL. */
const notMounted = 22

export class KernelEngine implements Engine {
  readonly name = 'kernel'
  readonly nativeDiff = { native: true } as const
  readonly backing: string
  readonly status: Engine['status']
  readonly #home: string
  readonly #host: KernelHost
  readonly #calls: AufsCalls
  readonly #forms: Forms
  readonly #shades: Shades

  /** @param calls to the kernel; others only in tests */
  constructor(home: string, host: KernelHost, workers: TreeWorkers, calls: AufsCalls = kernelCalls) {
    this.#home = home
    this.#host = host
    this.#calls = calls
    this.backing = host.backing
    this.status = [['Dirperm1 Supported', String(host.dirperm1)]]
    this.#forms = new Forms('trusted')
    this.#shades = new Shades(home, 'trusted', workers)
  }

  isMounted(target: string): boolean {
    return this.#calls.isMounted(target)
  }

  commit(id: LayerId, { signal }: CallOptions): Promise<void> {
    return commit(this.#home, id, signal)
  }

  async mount({ id, parents }: StackedLayer, label: string | undefined): Promise<boolean> {
    const paths = layerPaths(this.#home, id)
    using _ = await lockForm(this.#home, id, 'exclusive')
    if (this.isMounted(paths.mount)) return false
    const committed = isCommitted(paths)
    // aufs would let two mounts write to one directory.
    if (!committed && this.#calls.isWrittenTo(paths.diff)) throw this.#written(id, paths.diff)
    const branches: readonly Branch[] = [
      { path: paths.diff, mode: committed ? 'ro+wh' : 'rw' },
      ...parents.map((parent) => ({ path: layerPaths(this.#home, parent).diff, mode: 'ro+wh' }) as const),
    ]
    for (const { path: branch } of branches) {
      // aufs itself says no more than EINVAL.
      if (!existsSync(branch))
        throw new SystemError(constants.errno.ENOENT, { syscall: 'mount', path: branch })
    }
    this.#mountBranches(id, paths.mount, branches, label)
    return true
  }

  async unmount({ id }: StackedLayer): Promise<void> {
    const { mount: target } = layerPaths(this.#home, id)
    using _ = await lockForm(this.#home, id, 'exclusive')
    if (!this.isMounted(target)) return
    await this.#flush(target)
    for (let attempt = 1; ; attempt++) {
      try {
        this.#calls.unmount(target)
        return
      } catch (error) {
        if (!isSystemError(error, 'EBUSY') || attempt === attempts) throw error
      }
      await setTimeout(pause)
    }
  }

  /** The format is always AUFS's. */
  async read(): Promise<Reading> {
    return { whiteouts: { format: 'aufs', xattr: 'trusted' }, [Symbol.asyncDispose]: () => Promise.resolve() }
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
      () => apply(lowers, { format: 'overlay', xattr: 'trusted' }),
      () => false,
    )
  }

  /** What overlayfs left on a kernel without aufs: aufs would not understand it. */
  async settle(volumes: StackVolumes): Promise<void> {
    for (const id of changedLayers(this.#home)) {
      await using _opened = await volumes.open(id)
      const paths = layerPaths(this.#home, id)
      using lock = tryLockDirectory(paths.lock, 'exclusive')
      if (lock !== undefined) await this.#forms.toAufs(paths)
    }
  }

  #mountBranches(id: LayerId, target: string, branches: readonly Branch[], label: string | undefined): void {
    const calls = planMount(branches, { pageSize: getpagesize(), dirperm1: this.#host.dirperm1 }, label)
    if (calls === undefined || branches.length > maximumBranches) throw this.#tooMany(id, branches.length)
    try {
      for (const call of calls) this.#calls.mount(target, call)
      this.#verify(target, branches)
    } catch (error) {
      if (this.isMounted(target)) this.#calls.unmount(target)
      throw error
    }
  }

  /** @throws SystemError when aufs mounted something else than it was asked for */
  #verify(target: string, branches: readonly Branch[]): void {
    const found = this.#calls.branchesAt(target)
    const wanted = branches.map(({ path: branch, mode }) => `${branch}=${mode}`)
    if (found.length === wanted.length && wanted.every((branch, at) => branch === found[at])) return
    throw new SystemError(constants.errno.EIO, {
      syscall: 'mount',
      path: target,
      note: `aufs mounted ${found.length} of ${wanted.length} branches`,
    })
  }

  /** Without it, a file with several names loses one of them after the next mount. */
  async #flush(target: string): Promise<void> {
    const { auplink } = this.#host
    if (auplink === undefined) return
    for (let attempt = 1; attempt <= attempts; attempt++) {
      // Docker goes on without it, too: what is lost is a link, and the unmount must not fail for it.
      if ((await this.#calls.flush(auplink, target)) !== notMounted) return
      await setTimeout(pause)
    }
  }

  #written(id: LayerId, diff: string): Error {
    return new GraphDriverError(
      'GD_LAYER_IN_USE',
      `layer ${id}: another aufs mount writes to ${diff}; unmount that first`,
      { id, users: [diff] },
    )
  }

  #tooMany(id: LayerId, depth: number): Error {
    return new GraphDriverError(
      'GD_MAX_DEPTH',
      `layer ${id} is the ${depth}th of its stack, and aufs takes ${maximumBranches} branches of less than a page; ` +
        'flatten the layers below it into one',
      { id, depth, limit: maximumBranches },
    )
  }
}
