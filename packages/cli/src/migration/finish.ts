import { rm } from 'node:fs/promises'
import path from 'node:path'
import { GraphDriverError, hasState, hostOf, leftBehind, loadDriver } from '@graphdriver/core'
import { lockStore } from '@graphdriver/layer-store'
import { isMountPoint, namesIn } from '@graphdriver/sys'
import type { Invocation } from '../invocation.ts'
import { requireUnused } from '../require-unused.ts'
import { Resources } from '../resources.ts'
import { isHeld, noteEmptied } from './left-behind.ts'
import { openSide, pools } from './side.ts'

/** Deletes what was left behind, once what it was moved to is open. */
export async function finishAll(invocation: Invocation): Promise<void> {
  const { settings, signal, output } = invocation
  const { root } = settings
  const behind = await leftBehind(root)
  await using _ = await lockStore(root, 'exclusive', { signal })
  const deleted: string[] = []
  for (const [name, to] of Object.entries(behind)) {
    if (!isHeld(to)) continue
    if (!(await hasState(root, to))) {
      const message = `${root} holds nothing of ${to}, to which ${name} was moved; nothing is deleted`
      throw new GraphDriverError('GD_MIGRATION_REFUSED', message, { from: name, to, reason: 'absent' })
    }
    const isGone = !(await hasState(root, name)) || (await deleteAll(invocation, name))
    await noteEmptied(root, name, isGone)
    deleted.push(name)
  }
  output.result({ deleted }, () =>
    deleted.length === 0
      ? 'nothing was left behind\n'
      : deleted.map((name) => `deleted what ${name} held\n`).join(''),
  )
}

/** By the driver, layer by layer: its home may be more than files. @returns whether the home is gone too */
async function deleteAll(invocation: Invocation, name: string): Promise<boolean> {
  await using open = new Resources()
  const { stores, driver } = await openSide(invocation, open, name, false)
  const { layers, images, references } = stores
  for (const { name: own } of layers.writableLayers()) {
    const writable = await layers.getRWLayer(own)
    await requireUnused(writable, invocation.settings.root)
    await writable.release()
  }
  for (const { name: own } of references.list()) await references.untag(own)
  for (const { id } of images.list()) await images.delete(id)
  for (const { chainId } of layers.layers().toReversed())
    if (layers.has(chainId)) await (await layers.get(chainId)).release()
  await layers.collect({ signal: invocation.signal })
  await open[Symbol.asyncDispose]()
  if (pools.has(driver.capabilities.quota)) return false
  await removeHome(invocation.settings.root, driver.name)
  return true
}

/** What is left when no layer is; and nothing else. */
async function removeHome(root: string, name: string): Promise<void> {
  const definition = await loadDriver(name)
  const { home } = hostOf(definition, { root })
  await rm(path.join(root, 'image', name), { recursive: true, force: true })
  // One that was mounted for the driver stays, empty but for what the filesystem itself has there.
  const isOurs = !isMountPoint(home)
  const places = isOurs
    ? [home]
    : (await namesIn(home)).filter((entry) => entry !== 'lost+found').map((entry) => path.join(home, entry))
  for (const place of places) await rm(place, { recursive: true, force: true })
}
