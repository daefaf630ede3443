/** A data root of its own for a test, with a real driver and all stores, undone whatever happens. */
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Driver, hostOf, type LayerStore } from '@graphdriver/core'
import { openLayerStore } from '@graphdriver/layer-store'
import vfs from '@graphdriver/vfs'
import { type ImageStore, openImageStore, openReferenceStore, type ReferenceStore } from '../src/index.ts'

export interface Stores {
  readonly driver: Driver
  readonly layers: LayerStore
  readonly images: ImageStore
  readonly references: ReferenceStore
}

export class DataRoot implements AsyncDisposable {
  /** For the sources of a test. */
  readonly scratch: string
  readonly path: string
  readonly #open: AsyncDisposable[] = []

  constructor() {
    this.scratch = mkdtempSync(path.join(tmpdir(), 'gd-image-'))
    this.path = path.join(this.scratch, 'root')
  }

  get imageDirectory(): string {
    return path.join(this.path, 'image', 'vfs')
  }

  /** Opened as another process would. */
  async stores(): Promise<Stores> {
    const driver = await vfs.open(hostOf(vfs, { root: this.path }))
    const layers = await openLayerStore({ root: this.path, driver, durability: 'fast' })
    const images = await openImageStore({ root: this.path, driver: 'vfs', layers })
    const references = await openReferenceStore({ root: this.path, driver: 'vfs' })
    this.#open.push(driver, layers, images)
    return { driver, layers, images, references }
  }

  write(name: string, bytes: Uint8Array | string): string {
    const file = path.join(this.scratch, name)
    writeFileSync(file, bytes)
    return file
  }

  /** Every file and directory under the root with its content, but for what is only opened or locked. */
  tree(): readonly string[] {
    return treeOf(this.path)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const resource of this.#open.toReversed()) await resource[Symbol.asyncDispose]()
    rmSync(this.scratch, { recursive: true, force: true })
  }
}

export function treeOf(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .map((name) => {
      const file = path.join(directory, name)
      return lstatSync(file).isFile() ? `${name} ${readFileSync(file, 'base64')}` : name
    })
    .toSorted()
}
