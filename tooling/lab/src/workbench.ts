/** What the tests of a driver share: the driver on a real filesystem, and a few words for what they do with it. */
import path from 'node:path'
import {
  type Driver,
  type DriverDefinition,
  type DriverOptions,
  hostOf,
  type LayerId,
  parseLayerId,
} from '@graphdriver/core'
import { filesystem, type FilesystemKind, type FilesystemOptions, type LabFilesystem } from './filesystem.ts'

export interface Workplace extends AsyncDisposable {
  readonly root: string
  readonly driver: Driver
  /** What the driver is on. */
  readonly volume: LabFilesystem
}

export interface Workbench {
  readonly homeOf: (root: string) => string
  readonly openAt: (root: string, options?: DriverOptions) => Promise<Driver>
  /** A driver on a fresh filesystem, which must be left with nothing mounted. */
  readonly openOn: (kind: FilesystemKind, options?: FilesystemOptions) => Promise<Workplace>
}

export function workbench(definition: DriverDefinition): Workbench {
  const openAt = async (root: string, options?: DriverOptions): Promise<Driver> =>
    definition.open(hostOf(definition, { root, options }))
  return {
    homeOf: (root) => path.join(root, definition.name),
    openAt,
    openOn: async (kind, options) => {
      const volume = await filesystem(kind, { sizeMiB: 512, storage: 'memory', ...options })
      try {
        const driver = await openAt(volume.path)
        return {
          root: volume.path,
          driver,
          volume,
          async [Symbol.asyncDispose]() {
            await driver.cleanup()
            await volume[Symbol.asyncDispose]()
          },
        }
      } catch (error) {
        await volume[Symbol.asyncDispose]()
        throw error
      }
    },
  }
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
