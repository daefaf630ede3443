/** What an operation is, and the deeds of which several are made. */
import { utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ChainId } from '@graphdriver/core'
import { hostPlatform, type ImageSource, loadImages, openImageSource } from '@graphdriver/image'
import { dockerInitLayer } from '@graphdriver/layer-store'
import { baseName, type Inputs, osOf } from './inputs.ts'
import type { OpenRoot, OpenStores } from './root.ts'

export interface Operation {
  readonly name: string
  readonly title: string
  /** Makes what it begins with. */
  readonly prepare?: (root: OpenRoot, inputs: Inputs) => Promise<void>
  /** Whether it can be done, and looked at, where images are for that system. */
  readonly isFor?: LoneOperation['isFor']
  /** May be done again when it is not known whether it was done. */
  readonly run: (root: OpenRoot, inputs: Inputs) => Promise<void>
}

/** One of the command, which opens the root itself and makes something beside what the driver holds, which stays as it was. */
export interface LoneOperation {
  readonly name: string
  readonly title: string
  readonly prepare?: Operation['prepare']
  /** What is typed after `graphdriver`. */
  readonly words: (driver: string, root: string) => readonly string[]
  readonly isDone: (driver: string, root: string) => Promise<boolean>
  /** @returns what is wrong with what it made */
  readonly verify: (driver: string, root: string) => Promise<readonly string[]>
  readonly undo: (driver: string, root: string) => Promise<void>
  readonly isFor: (os: 'linux' | 'windows') => boolean
}

/** The command's program. */
export const graphdriver = path.join(
  path.dirname(fileURLToPath(import.meta.resolve('@graphdriver/cli/package.json'))),
  'dist/main.js',
)

/** The writable layer of all operations. */
export const containerName = 'container'

export async function load({ layers, images, references }: OpenStores, archive: string): Promise<void> {
  await using source = await openSource(archive, layers.driver.name)
  await loadImages(source, { layers, images, references })
}

/** The variant that the driver keeps. */
export function openSource(archive: string, driver: string): Promise<ImageSource> {
  return openImageSource(archive, {
    platform: { os: osOf(driver), architecture: hostPlatform().architecture },
  })
}

export async function chainOf({ images, references }: OpenRoot, name: string): Promise<ChainId | undefined> {
  return (await images.find(name, references)).chainId
}

export async function createContainer(root: OpenRoot): Promise<void> {
  if (root.layers.writableLayers().length > 0) return
  // What dockerd writes for a container of Linux is nothing to Windows.
  const init = osOf(root.driver.name) === 'linux' ? dockerInitLayer : undefined
  await root.layers.createRWLayer(containerName, await chainOf(root, baseName), { init })
}

/** A new file, and a changed one. None is deleted: in a tar that has the time of its making, so that none would be like another. */
export async function writeInto({ layers, driver }: OpenRoot): Promise<void> {
  const writable = await layers.getRWLayer(containerName)
  await using mount = await writable.mount()
  const root = osOf(driver.name) === 'linux' ? mount.path : path.join(mount.path, 'Files')
  writeFileSync(path.join(root, 'own'), 'own')
  writeFileSync(path.join(root, 'etc/passwd'), 'nobody\n')
  for (const name of ['own', 'etc/passwd', 'etc', '.']) utimesSync(path.join(root, name), 1e9, 1e9)
}
