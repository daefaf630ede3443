/** A data root of its own for a test, with a real driver, undone whatever happens. */
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Driver, type DriverDefinition, hostOf, type LayerId, probeDriver } from '@graphdriver/core'
import aufs from '@graphdriver/aufs'
import btrfs from '@graphdriver/btrfs'
import overlay from '@graphdriver/overlay'
import overlay2 from '@graphdriver/overlay2'
import { unmountTree } from '@graphdriver/sys'
import vfs from '@graphdriver/vfs'
import { filesystem, filesystemRequirements, need } from '@tooling/lab'
import { type DirectoryLayerStore, type LayerStoreOptions, openLayerStore } from '../src/index.ts'

export const definitions: readonly DriverDefinition[] = [vfs, overlay2, overlay, aufs, btrfs]

/** Where a driver's data roots are made; by default where temporary files are. */
const places = new Map<string, string>()

interface Candidate {
  readonly name: string
  readonly definition: DriverDefinition
  readonly skipped: boolean
  /** Why its tests cannot run here, for their title; otherwise empty. */
  readonly reason: string
}

/** The drivers to test on, each with the reason if it cannot serve on this host. */
export async function candidates(): Promise<readonly Candidate[]> {
  await placeOn('btrfs')
  const found: Candidate[] = []
  for (const definition of definitions) {
    const root = mkdtempSync(path.join(placeOf(definition), 'gd-probe-'))
    try {
      const probe = await probeDriver(definition, { root })
      const reason = probe.supported ? '' : ` (skipped: ${probe.reason})`
      found.push({ name: definition.name, definition, skipped: !probe.supported, reason })
    } finally {
      rmSync(root, { recursive: true, force: true })
    }
  }
  return found
}

/** Makes the filesystem of a driver that serves on no other, for as long as the test file runs. */
async function placeOn(kind: 'btrfs'): Promise<void> {
  if (need(...filesystemRequirements(kind)) !== undefined) return
  const made = await filesystem(kind, { sizeMiB: 1024, storage: 'memory' })
  places.set(kind, made.path)
  // Not loaded by the processes that tests start.
  const { afterAll } = await import('vitest')
  afterAll(() => made[Symbol.asyncDispose]())
}

function placeOf({ name }: DriverDefinition): string {
  return places.get(name) ?? tmpdir()
}

export async function openDriver(definition: DriverDefinition, root: string): Promise<Driver> {
  return definition.open(hostOf(definition, { root }))
}

export class DataRoot implements AsyncDisposable {
  readonly path: string
  readonly #definition: DriverDefinition
  readonly #open: AsyncDisposable[] = []

  constructor(definition: DriverDefinition, directory?: string) {
    this.#definition = definition
    this.path = directory ?? mkdtempSync(path.join(placeOf(definition), 'gd-store-'))
  }

  get layerdb(): string {
    return path.join(this.path, 'image', this.#definition.name, 'layerdb')
  }

  async driver(): Promise<Driver> {
    const driver = await openDriver(this.#definition, this.path)
    this.#open.push(driver)
    return driver
  }

  /** A store as another process would open it: with a driver of its own. */
  async store(options: Partial<LayerStoreOptions> = {}): Promise<DirectoryLayerStore> {
    const store = await openLayerStore({
      root: this.path,
      driver: options.driver ?? (await this.driver()),
      durability: 'fast',
      ...options,
    })
    this.#open.push(store)
    return store
  }

  /** Names of everything unfinished: transactions and removals. */
  leftovers(): readonly string[] {
    const names = (directory: string): readonly string[] =>
      statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true ? readdirSync(directory) : []
    const removals = names(path.join(this.layerdb, 'sha256')).filter((name) => name.length > 64)
    return [...names(path.join(this.layerdb, 'tmp')), ...removals]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const resource of this.#open.reverse()) await resource[Symbol.asyncDispose]()
    unmountTree(this.path)
    rmSync(this.path, { recursive: true, force: true })
  }
}

export async function layerIds(driver: Driver): Promise<readonly LayerId[]> {
  return (await Array.fromAsync(driver.layers())).sort()
}
