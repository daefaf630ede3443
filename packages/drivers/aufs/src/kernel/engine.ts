/** Mounts AUFS's layers by aufs itself. */
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { OverlayWhiteouts, TreeWorkers } from '@graphdriver/archive'
import { type CallOptions, GraphDriverError, type LayerId } from '@graphdriver/core'
import type { StackVolumes } from '@graphdriver/quota'
import {
  CommandError,
  getpagesize,
  isMountPoint,
  isSystemError,
  MNT,
  mount,
  readMountTable,
  run,
  statfs,
  SystemError,
  tryLockDirectory,
  umount,
} from '@graphdriver/sys'
import { maximumBranches } from '../capabilities.ts'
import type { Engine, Reading, StackedLayer } from '../engine.ts'
import { changedLayers, commit, Forms, isCommitted, lockForm } from '../form.ts'
import { layerPaths } from '../layout.ts'
import { Shades } from '../shade.ts'
import { branchesOf, isWrittenTo, mountNumber } from './branches.ts'
import type { KernelHost } from './host.ts'
import { type Branch, planMount } from './plan.ts'

/** What statfs(2) says of aufs (AUFS_SUPER_MAGIC of linux/aufs_type.h). */
const magic = 0x61756673n
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
  readonly #forms: Forms
  readonly #shades: Shades

  constructor(home: string, host: KernelHost, workers: TreeWorkers) {
    this.#home = home
    this.#host = host
    this.backing = host.backing
    this.status = [['Dirperm1 Supported', String(host.dirperm1)]]
    this.#forms = new Forms('trusted')
    this.#shades = new Shades(home, 'trusted', workers)
  }

  isMounted(target: string): boolean {
    try {
      return BigInt(statfs(target).type) === magic && isMountPoint(target)
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ESTALE')) return false
      throw error
    }
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
    if (!committed && isWrittenTo(paths.diff)) throw this.#written(id, paths.diff)
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
        umount(target, MNT.DETACH | MNT.NOFOLLOW)
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
      for (const { flags, data } of calls) mount({ source: 'none', target, type: 'aufs', flags, data })
      this.#verify(target, branches)
    } catch (error) {
      if (this.isMounted(target)) umount(target, MNT.DETACH | MNT.NOFOLLOW)
      throw error
    }
  }

  /** @throws SystemError when aufs mounted something else than it was asked for */
  #verify(target: string, branches: readonly Branch[]): void {
    const entry = readMountTable().findLast((found) => found.target === target)
    const number = entry === undefined ? undefined : mountNumber(entry)
    const found = number === undefined ? [] : branchesOf(number)
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
      try {
        await run(auplink, [target, 'flush'])
        return
      } catch (error) {
        // Docker goes on without it, too: what is lost is a link, and the unmount must not fail for it.
        if (!(error instanceof CommandError) || error.exitCode !== notMounted) return
      }
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
