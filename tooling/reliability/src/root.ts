/** A data root with all that is in it, opened as a process of its own would. */
import { type Driver, type DriverDefinition, hostOf } from '@graphdriver/core'
import aufs from '@graphdriver/aufs'
import btrfs from '@graphdriver/btrfs'
import devicemapper from '@graphdriver/devicemapper'
import { type ImageStore, openImageStore, openReferenceStore, type ReferenceStore } from '@graphdriver/image'
import {
  type DirectoryLayerStore,
  type Durability,
  lockStore,
  openLayerStore,
} from '@graphdriver/layer-store'
import overlay from '@graphdriver/overlay'
import overlay2 from '@graphdriver/overlay2'
import vfs from '@graphdriver/vfs'
import windows from '@graphdriver/windows'
import zfs from '@graphdriver/zfs'

/** Those whose filesystems this kernel may have. */
export const definitions: readonly DriverDefinition[] = [vfs, overlay2, overlay, aufs, btrfs]

/** Of Windows, on NTFS: only steps know what its layers are like. */
export const ofWindows: readonly DriverDefinition[] = [windows]

/** Those that no kernel of a test machine has: they are tried in guests. */
export const inGuests: readonly DriverDefinition[] = [devicemapper, zfs]

export function definitionOf(name: string): DriverDefinition {
  const all = [...definitions, ...ofWindows, ...inGuests]
  const found = all.find((definition) => definition.name === name)
  if (found !== undefined) return found
  throw new Error(`no driver '${name}' here; there are ${all.map((one) => one.name).join(', ')}`)
}

/** The records of a root as they are at this moment. */
export interface OpenStores extends AsyncDisposable {
  readonly layers: DirectoryLayerStore
  readonly images: ImageStore
  readonly references: ReferenceStore
}

export interface OpenRoot extends OpenStores {
  readonly path: string
  readonly driver: Driver
}

/** Waits for the lock of the root, if it is to change, and holds it until it is disposed. */
export async function openStores(
  driver: Driver,
  root: string,
  lock: 'exclusive' | 'none',
  durability: Durability = 'safe',
): Promise<OpenStores> {
  await using opened = new AsyncDisposableStack()
  if (lock === 'exclusive') opened.use(await lockStore(root, 'exclusive'))
  const readOnly = lock === 'none'
  const layers = opened.use(await openLayerStore({ root, driver, durability, readOnly }))
  const images = opened.use(await openImageStore({ root, driver: driver.name, layers }))
  const references = await openReferenceStore({ root, driver: driver.name })
  const kept = opened.move()
  return { layers, images, references, [Symbol.asyncDispose]: () => kept.disposeAsync() }
}

/** All of it, alone. */
export async function openRoot(
  driverName: string,
  root: string,
  durability: Durability = 'safe',
): Promise<OpenRoot> {
  await using opened = new AsyncDisposableStack()
  const definition = definitionOf(driverName)
  const driver = opened.use(await definition.open(hostOf(definition, { root })))
  const { layers, images, references } = opened.use(await openStores(driver, root, 'exclusive', durability))
  const kept = opened.move()
  return {
    path: root,
    driver,
    layers,
    images,
    references,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}
