import { type DriverOptions, GraphDriverError, type LayerId } from '@graphdriver/core'
import { dockerInitLayer } from '@graphdriver/layer-store'
import { isMountPoint } from '@graphdriver/sys'
import { getAs } from '../get-as.ts'
import { idMapOf, type MapFlags } from '../id-maps.ts'
import { openWithImage } from '../image-or-file.ts'
import type { Invocation } from '../invocation.ts'
import { Session } from '../session.ts'
import { findWritable } from '../subject.ts'
import { isReentered } from '../user-namespace.ts'
import { randomName } from '../writable-name.ts'

export interface MountFlags extends MapFlags {
  readonly name?: string
  readonly storageOpt?: DriverOptions
}

interface Prepared {
  readonly session: Session
  readonly name: string
  readonly id: LayerId
  readonly created: boolean
}

/**
 * `graphdriver mount IMAGE|NAME`: mounts a writable layer, of the image a new one, and leaves it mounted; prints
 * where.
 */
export async function mount(invocation: Invocation, word: string, flags: MountFlags): Promise<void> {
  const ids = idMapOf(flags)
  const { session, name, id, created } = await prepare(invocation, word, flags)
  await using _ = session
  await session.requireNoDaemon()
  const { path } = await getAs(session.driver, id, ids, { signal: invocation.signal })
  if (isReentered() && isMountPoint(path)) {
    await session.driver.put(id)
    if (created) await remove(session, name)
    throw new GraphDriverError(
      'GD_MISSING_PREREQUISITE',
      `${session.driver.name} cannot leave '${name}' mounted for an ordinary user: the mount ends with the command; ` +
        'use graphdriver run, or --driver vfs, or be root',
      { missing: 'root' },
    )
  }
  invocation.output.result({ name, path }, () => `${path}\n`)
  if (created && flags.name === undefined)
    invocation.log.warn(`writable layer '${name}': graphdriver unmount ${name}`)
}

/** A writable layer that is there, or a new one. */
async function prepare(invocation: Invocation, word: string, flags: MountFlags): Promise<Prepared> {
  if (flags.name === undefined) {
    const existing = await existingLayer(invocation, word)
    if (existing !== undefined) return existing
  }
  const { session, image } = await openWithImage(word, invocation)
  try {
    const name = flags.name ?? randomName()
    const id = await session.changing(async ({ layers }) => {
      const { signal } = invocation
      const layer = await layers.createRWLayer(name, image.chainId, {
        init: dockerInitLayer,
        storageOptions: flags.storageOpt,
        signal,
      })
      return layer.mountId
    })
    return { session, name, id, created: true }
  } catch (error) {
    await session[Symbol.asyncDispose]()
    throw error
  }
}

async function existingLayer(invocation: Invocation, name: string): Promise<Prepared | undefined> {
  const session = await Session.openExisting(invocation)
  if (session === undefined) return undefined
  const writable = await session.reading((stores) => findWritable(name, stores))
  if (writable !== undefined) return { session, name, id: writable.mountId, created: false }
  await session[Symbol.asyncDispose]()
  return undefined
}

async function remove(session: Session, name: string): Promise<void> {
  await session.changing(async ({ layers }) => {
    await (await layers.getRWLayer(name)).release()
  })
}
