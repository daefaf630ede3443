/** What the cases about limits share: layers with a size, and writing past it. */
import assert from 'node:assert/strict'
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import type { Capabilities } from '../../capabilities.ts'
import type { Driver } from '../../driver.ts'
import { isGraphDriverError } from '../../error.ts'
import type { LayerId } from '../../id.ts'
import type { CaseContext } from '../context.ts'
import { namesBelow } from '../listing.ts'

export const mebibyte: number = 1024 * 1024
/** graphtest's own numbers: half of it fits whatever the filesystem keeps for itself, and twice as much never does. */
export const size = '50M'
export const fits = 25
export const tooMuch = 75

export function limits({ quota }: Capabilities): string | undefined {
  return quota === 'none' ? 'sizes of layers are not limited here' : undefined
}

export function limitsNothing({ quota }: Capabilities): string | undefined {
  return quota === 'none' ? undefined : 'sizes of layers are limited here'
}

export async function sized(
  { driver, id }: CaseContext,
  name: string,
  limit: string = size,
  parent?: LayerId,
): Promise<LayerId> {
  await driver.createReadWrite(id(name), { parent, storageOptions: { size: limit } })
  return id(name)
}

/** Writes so many MiB to a file that may be there already, and sees to it that they are more than promised. */
export function write(name: string, mebibytes: number): void {
  const chunk = Buffer.alloc(mebibyte, name)
  const fd = openSync(name, 'a')
  try {
    for (let written = 0; written < mebibytes; written++) {
      for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at)
    }
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** libuv, and so Node, has no name for EDQUOT: its code is then `UNKNOWN`. */
const edquot = -122

export function isFull(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  return ('code' in error && error.code === 'ENOSPC') || ('errno' in error && error.errno === edquot)
}

const patience = 10_000

/** What is deleted may be given back in the background: tries until it succeeds, or has failed for long. */
export async function soon(attempt: () => Promise<void> | void): Promise<void> {
  for (const start = Date.now(); ; await setTimeout(20)) {
    try {
      await attempt()
      return
    } catch (error) {
      if (Date.now() - start > patience) throw error
    }
  }
}

export function refuses(name: string, mebibytes: number): void {
  assert.throws(() => write(name, mebibytes), isFull, `${mebibytes} MiB were taken`)
}

async function assertNothingMade({ driver, id }: CaseContext, name: string): Promise<void> {
  assert.equal(await driver.exists(id(name)), false, `${name} exists`)
  assert.deepEqual(await Array.fromAsync(driver.layers()), [])
  assert.deepEqual(
    namesBelow(driver.home).filter((made) => made.includes(name)),
    [],
  )
}

/** Both ways of making a layer refuse a limit by its name, and make nothing. */
export async function assertRefused(
  context: CaseContext,
  option: 'size' | 'inodes',
  limit: string,
): Promise<void> {
  const { driver, id } = context
  const makers: readonly Driver['create'][] = [
    (made, options) => driver.create(made, options),
    (made, options) => driver.createReadWrite(made, options),
  ]
  for (const make of makers) {
    await assert.rejects(make(id('refused'), { storageOptions: { [option]: limit } }), (error) => {
      assert(isGraphDriverError(error, 'GD_INVALID_OPTION'), `${option} '${limit}': ${String(error)}`)
      assert.equal(error.details.option, option)
      assert(error.message.includes(option), error.message)
      return true
    })
    await assertNothingMade(context, 'refused')
  }
}
