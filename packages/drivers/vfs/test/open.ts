/** What the cases share: a driver on a real filesystem, and a few words for what they do with it. */
import path from 'node:path'
import { type Driver, type LayerId, parseLayerId } from '@graphdriver/core'
import {
  filesystem,
  type FilesystemKind,
  type FilesystemOptions,
  filesystemRequirements,
  need,
} from '@tooling/lab'
import vfs from '../src/index.ts'

export interface Place extends AsyncDisposable {
  readonly root: string
  readonly driver: Driver
}

export function homeOf(root: string): string {
  return path.join(root, 'vfs')
}

export function openAt(root: string): Promise<Driver> {
  return vfs.open({ root, home: homeOf(root), options: vfs.parse({}) })
}

/** A driver on a fresh filesystem. */
export async function openOn(kind: FilesystemKind, options?: FilesystemOptions): Promise<Place> {
  const volume = await filesystem(kind, { sizeMiB: 512, storage: 'memory', ...options })
  try {
    const driver = await openAt(volume.path)
    return {
      root: volume.path,
      driver,
      async [Symbol.asyncDispose]() {
        await driver.cleanup()
        await volume[Symbol.asyncDispose]()
      },
    }
  } catch (error) {
    await volume[Symbol.asyncDispose]()
    throw error
  }
}

/** Why cases cannot run here, if they cannot. */
export function missing(...kinds: readonly FilesystemKind[]): string | undefined {
  return need({ root: true }, ...kinds.flatMap((kind) => filesystemRequirements(kind)))
}

export function id(name: string): LayerId {
  return parseLayerId(name)
}

/** Creates a layer and lets `write` work in it. */
export async function makeLayer(
  driver: Driver,
  name: string,
  parent: string | undefined,
  write: (root: string) => void | Promise<void> = () => undefined,
): Promise<LayerId> {
  await driver.create(id(name), parent === undefined ? {} : { parent: id(parent) })
  await using mount = await driver.get(id(name))
  await write(mount.path)
  return id(name)
}
