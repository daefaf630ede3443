/**
 * The steps of the kernel engine against what a real aufs was seen to answer (aufs 6.1): no kernel of today has it, so the
 * calls are recorded here. Where /proc/filesystems lists aufs, the suite runs on the kernel itself.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { constants } from 'node:os'
import { TreeWorkers } from '@graphdriver/archive'
import { type LayerId, parseLayerId } from '@graphdriver/core'
import { MS, SystemError } from '@graphdriver/sys'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AufsCalls } from '../src/kernel/calls.ts'
import { KernelEngine } from '../src/kernel/engine.ts'
import type { MountCall } from '../src/kernel/plan.ts'
import { homePaths, layerPaths } from '../src/layout.ts'

let home = ''
const workers = new TreeWorkers()

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), 'gd-aufs-'))
  for (const directory of Object.values(homePaths(home))) mkdirSync(directory, { recursive: true })
})
afterEach(() => rmSync(home, { recursive: true }))

function layer(name: string, parents: readonly LayerId[]): LayerId {
  const id = parseLayerId(name)
  const paths = layerPaths(home, id)
  for (const directory of [paths.diff, paths.mount, paths.lock]) mkdirSync(directory, { recursive: true })
  writeFileSync(paths.record, parents.map((parent) => `${parent}\n`).join(''))
  return id
}

function stack(count: number): { readonly id: LayerId; readonly parents: readonly LayerId[] } {
  const parents: LayerId[] = []
  for (let index = 1; index < count; index++) parents.unshift(layer(`l${index}`, parents))
  return { id: layer('top', parents), parents }
}

/** A kernel that does what it is told, but for what a test changes. */
class Kernel implements AufsCalls {
  readonly mounted = new Map<string, string[]>()
  readonly made: MountCall[] = []
  readonly said: string[] = []
  written = false

  isMounted(target: string): boolean {
    return this.mounted.has(target)
  }

  mount(target: string, call: MountCall): void {
    this.made.push(call)
    const branches = this.mounted.get(target) ?? []
    if (call.flags === 0) branches.push(...(/^br:([^,]*)/.exec(call.data)?.[1] ?? '').split(':'))
    else branches.push(...call.data.split(',').map((option) => option.replace(/^append:/, '')))
    this.mounted.set(target, branches)
  }

  unmount(target: string): void {
    this.said.push('unmount')
    this.mounted.delete(target)
  }

  branchesAt(target: string): readonly string[] {
    return this.mounted.get(target) ?? []
  }

  isWrittenTo(): boolean {
    return this.written
  }

  async flush(): Promise<number | undefined> {
    this.said.push('flush')
    return 0
  }
}

function engineOn(kernel: AufsCalls, auplink?: string): KernelEngine {
  return new KernelEngine(
    home,
    { supported: true, backing: 'extfs', dirperm1: true, auplink },
    workers,
    kernel,
  )
}

function failure(code: 'EBUSY' | 'ENOSPC'): SystemError {
  return new SystemError(constants.errno[code], { syscall: 'mount' })
}

describe('the kernel engine', () => {
  test('mounts the layer to be written and those below to be read, nearest first', async () => {
    const kernel = new Kernel()
    const top = stack(3)
    expect(await engineOn(kernel).mount(top, undefined)).toBe(true)
    const at = (name: string): string => path.join(home, 'diff', name)
    expect(kernel.mounted.get(layerPaths(home, top.id).mount)).toEqual([
      `${at('top')}=rw`,
      `${at('l2')}=ro+wh`,
      `${at('l1')}=ro+wh`,
    ])
    // Another process was faster.
    expect(await engineOn(kernel).mount(top, undefined)).toBe(false)
    expect(kernel.made).toHaveLength(1)
  })

  test('mounts a layer that has a child to be read only', async () => {
    const kernel = new Kernel()
    const top = stack(2)
    await engineOn(kernel).commit(top.id, {})
    await engineOn(kernel).mount(top, undefined)
    expect(kernel.made[0]?.data).toMatch(/^br:[^=]*top=ro\+wh:/)
  })

  test('mounts 127 layers in several calls, and refuses 128 before any', async () => {
    const kernel = new Kernel()
    await engineOn(kernel).mount(stack(127), undefined)
    expect(kernel.made.length).toBeGreaterThan(1)
    expect(kernel.made.slice(1).every(({ flags }) => flags === MS.REMOUNT)).toBe(true)
    const other = new Kernel()
    await expect(engineOn(other).mount(stack(128), undefined)).rejects.toMatchObject({
      code: 'GD_MAX_DEPTH',
      details: { depth: 128, limit: 127 },
    })
    expect(other.made).toEqual([])
  })

  // More than 127 branches: ENOSPC, with the remount partly applied.
  test('unmounts a stack of which one call failed', async () => {
    const kernel = new Kernel()
    const mount = kernel.mount.bind(kernel)
    kernel.mount = (target, call) => {
      if (call.flags !== 0) throw failure('ENOSPC')
      mount(target, call)
    }
    await expect(engineOn(kernel).mount(stack(100), undefined)).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(kernel.mounted.size).toBe(0)
  })

  // Mount data that is cut in a page mounts with branches missing, or as `ro`.
  test.each([
    ['a branch is missing', (branches: readonly string[]) => branches.slice(0, -1)],
    ['a branch is cut', (branches: readonly string[]) => branches.map((one) => one.replace('ro+wh', 'ro'))],
    ['branches are in another order', (branches: readonly string[]) => branches.toReversed()],
    ['there is nothing', () => []],
  ])('unmounts what is not what it asked for: %s', async (_what, damage) => {
    const kernel = new Kernel()
    const found = kernel.branchesAt.bind(kernel)
    kernel.branchesAt = (target) => damage(found(target))
    await expect(engineOn(kernel).mount(stack(3), undefined)).rejects.toMatchObject({ code: 'EIO' })
    expect(kernel.mounted.size).toBe(0)
  })

  test('refuses a second mount that would write to the same directory, and not one that reads', async () => {
    const kernel = new Kernel()
    kernel.written = true
    const top = stack(2)
    await expect(engineOn(kernel).mount(top, undefined)).rejects.toMatchObject({ code: 'GD_LAYER_IN_USE' })
    await engineOn(kernel).commit(top.id, {})
    expect(await engineOn(kernel).mount(top, undefined)).toBe(true)
  })

  // aufs itself says EINVAL, whatever is wrong with a path.
  test('names the layer below that is not there', async () => {
    const kernel = new Kernel()
    const top = stack(3)
    rmSync(path.join(home, 'diff/l1'), { recursive: true })
    await expect(engineOn(kernel).mount(top, undefined)).rejects.toMatchObject({
      code: 'ENOENT',
      path: path.join(home, 'diff/l1'),
    })
    expect(kernel.made).toEqual([])
  })

  test('lets go of pseudo-links before an unmount, where the program for it is there', async () => {
    for (const [auplink, said] of [
      ['/sbin/auplink', ['flush', 'unmount']],
      [undefined, ['unmount']],
    ] as const) {
      const kernel = new Kernel()
      const top = stack(2)
      await engineOn(kernel).mount(top, undefined)
      await engineOn(kernel, auplink).unmount(top)
      expect(kernel.said).toEqual(said)
    }
  })

  test('asks auplink again while it says that nothing is mounted, and unmounts all the same', async () => {
    const kernel = new Kernel()
    kernel.flush = async () => {
      kernel.said.push('flush')
      return 22
    }
    const top = stack(2)
    await engineOn(kernel).mount(top, undefined)
    await engineOn(kernel, '/sbin/auplink').unmount(top)
    expect(kernel.said).toEqual(['flush', 'flush', 'flush', 'flush', 'flush', 'unmount'])
  })

  test('tries a busy unmount five times, and takes not mounted for success', async () => {
    const kernel = new Kernel()
    const top = stack(2)
    await engineOn(kernel).unmount(top)
    expect(kernel.said).toEqual([])
    await engineOn(kernel).mount(top, undefined)
    const unmount = kernel.unmount.bind(kernel)
    kernel.unmount = (target) => {
      kernel.said.push('busy')
      if (kernel.said.length < 3) throw failure('EBUSY')
      unmount(target)
    }
    await engineOn(kernel).unmount(top)
    expect(kernel.said).toEqual(['busy', 'busy', 'busy', 'unmount'])
    await engineOn(kernel).mount(top, undefined)
    kernel.said.length = 0
    kernel.unmount = () => {
      kernel.said.push('busy')
      throw failure('EBUSY')
    }
    await expect(engineOn(kernel).unmount(top)).rejects.toMatchObject({ code: 'EBUSY' })
    expect(kernel.said).toHaveLength(5)
  })
})
