/** What an operation is, and the deeds of which several are made. */
import { utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ChainId } from '@graphdriver/core'
import { loadImages, openImageSource } from '@graphdriver/image'
import { dockerInitLayer } from '@graphdriver/layer-store'
import { baseName, type Inputs } from './inputs.ts'
import type { OpenRoot, OpenStores } from './root.ts'

export interface Operation {
  readonly name: string
  readonly title: string
  /** Makes what it begins with. */
  readonly prepare?: (root: OpenRoot, inputs: Inputs) => Promise<void>
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
}

/** The command's program. */
export const graphdriver = path.join(
  path.dirname(fileURLToPath(import.meta.resolve('@graphdriver/cli/package.json'))),
  'dist/main.js',
)

/** The writable layer of all operations. */
export const containerName = 'container'

export async function load({ layers, images, references }: OpenStores, archive: string): Promise<void> {
  await using source = await openImageSource(archive)
  await loadImages(source, { layers, images, references })
}

export async function chainOf({ images, references }: OpenRoot, name: string): Promise<ChainId | undefined> {
  return (await images.find(name, references)).chainId
}

export async function createContainer(root: OpenRoot): Promise<void> {
  if (root.layers.writableLayers().length > 0) return
  await root.layers.createRWLayer(containerName, await chainOf(root, baseName), { init: dockerInitLayer })
}

/** A new file, and a changed one. None is deleted: in a tar that has the time of its making, so that none would be like another. */
export async function writeInto({ layers }: OpenRoot): Promise<void> {
  const writable = await layers.getRWLayer(containerName)
  await using mount = await writable.mount()
  writeFileSync(path.join(mount.path, 'own'), 'own')
  writeFileSync(path.join(mount.path, 'etc/passwd'), 'nobody\n')
  for (const name of ['own', 'etc/passwd', 'etc', '.']) utimesSync(path.join(mount.path, name), 1e9, 1e9)
}
