import { existsSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import {
  asLayerId,
  type CallOptions,
  type Capabilities,
  checkQuota,
  type Change,
  type CreateOptions,
  type Driver,
  type DriverOptions,
  GraphDriverError,
  type LayerId,
  layerMount,
  type Mount,
  parseQuota,
  type Quota,
  rejectUnknownOptions,
  type StatusRow,
  type TarStream,
} from '@graphdriver/core'
import { isSystemError } from '@graphdriver/sys'
import { enableBackupPrivileges, isWindowsError, type WindowsLayers, win32 } from '@graphdriver/sys/windows'
import { LayerTarReader } from '@graphdriver/windows-layer'
import { entriesOfBase, entriesOfExport, type Exported, ExportFolder, tarOf } from './export.ts'
import { importLayer } from './import.ts'
import { findLayer, isLayer, isRemoving, isSandbox, layerFolder, readChain, writeChain } from './layout.ts'
import { Mounts } from './mounts.ts'
import { removeLayer } from './removal.ts'

const capabilities: Capabilities = {
  sharing: 'files',
  diff: { native: true },
  copyUp: 'file',
  maxDepth: Number.POSITIVE_INFINITY,
  timestamps: 'hundreds-of-nanoseconds',
  names: 'windows',
  hardLinks: false,
  xattrs: 'none',
  deviceNodes: false,
  ownership: 'none',
  quota: 'device',
  inodeQuota: false,
  mappedOwners: false,
  mountLabel: false,
}

/** What a layer has, to be read before this is disposed. */
interface Content extends Disposable {
  readonly entries: Iterable<Exported>
  /** What has the times of `Files` and `Hives`. */
  readonly reference: string | undefined
}

/** Layers of Windows by Windows' own calls, on Docker's format. Docker calls this driver `windowsfilter`. */
export class HcsDriver implements Driver {
  readonly name = 'windowsfilter'
  readonly home: string
  readonly capabilities: Capabilities = capabilities
  readonly #layers: WindowsLayers
  readonly #mounts: Mounts

  /** @param home exists */
  constructor(home: string, layers: WindowsLayers) {
    this.home = home
    this.#layers = layers
    this.#mounts = new Mounts(layers)
  }

  async create(id: LayerId, { parent, storageOptions, signal }: CreateOptions = {}): Promise<void> {
    rejectUnknownOptions(`windows: layer ${id}`, storageOptions ?? {}, [])
    signal?.throwIfAborted()
    const [folder, chain] = await this.#prepareCreation(id, parent)
    const name = parent === undefined ? '' : path.basename(this.#folder(parent))
    await unlessTaken(id, () => this.#layers.create(folder, name))
    await this.#record(folder, chain)
  }

  async createReadWrite(id: LayerId, { parent, storageOptions, signal }: CreateOptions = {}): Promise<void> {
    const size = sizeIn(id, storageOptions)
    signal?.throwIfAborted()
    const [folder, chain] = await this.#prepareCreation(id, parent)
    if (chain.length === 0)
      throw new GraphDriverError(
        'GD_LAYER_NOT_FOUND',
        `layer ${id}: Windows makes layers for containers only on a layer with Files`,
        { id: parent ?? id },
      )
    await unlessTaken(id, () => this.#layers.createSandbox(folder, chain))
    try {
      if (size !== undefined) await this.#layers.expandSandbox(folder, size)
    } catch (error) {
      await this.#layers.destroy(folder).catch(() => undefined)
      throw error
    }
    await this.#record(folder, chain)
  }

  async remove(id: LayerId, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    const folder = this.#folder(id)
    await this.#mounts.ending(id, folder, () => removeLayer(this.#layers, id, folder))
  }

  async get(id: LayerId, { signal }: CallOptions = {}): Promise<Mount> {
    signal?.throwIfAborted()
    const folder = findLayer(this.home, id)
    const shown = await this.#mounts.get(id, folder).catch((error: unknown) => {
      throw isWindowsError(error, win32.fileNotFound, win32.pathNotFound) ? notFound(id, error) : error
    })
    return layerMount(id, shown, !isSandbox(folder), (mounted) => this.put(mounted))
  }

  async put(id: LayerId): Promise<void> {
    await this.#mounts.put(id, this.#folder(id))
  }

  async exists(id: LayerId): Promise<boolean> {
    return isLayer(this.#folder(id))
  }

  async *layers({ signal }: CallOptions = {}): AsyncGenerator<LayerId> {
    for (const entry of readdirSync(this.home, { withFileTypes: true })) {
      signal?.throwIfAborted()
      const id = entry.isDirectory() && !isRemoving(entry.name) ? asLayerId(entry.name) : undefined
      if (id !== undefined && isLayer(path.join(this.home, id))) yield id
    }
  }

  /** Docker says no more. */
  async status(): Promise<readonly StatusRow[]> {
    return [['Windows', '']]
  }

  async metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    return { dir: findLayer(this.home, id) }
  }

  /** Makes the disk of a container's layer larger. @throws GD_INVALID_OPTION */
  async setQuota(id: LayerId, quota: Quota): Promise<void> {
    checkQuota(`windows: layer ${id}`, quota)
    const folder = findLayer(this.home, id)
    if (quota.inodes !== undefined || !isSandbox(folder)) {
      const option = quota.inodes === undefined ? 'size' : 'inodes'
      throw new GraphDriverError('GD_INVALID_OPTION', `windows: layer ${id} has no limit of ${option}`, {
        option,
      })
    }
    if (quota.size !== undefined) await this.#layers.expandSandbox(folder, quota.size)
  }

  /** Windows tells of a layer only what it has beyond the next one. @throws GD_ARCHIVE_UNSUPPORTED for another parent */
  async *diff(
    id: LayerId,
    parent: LayerId | undefined,
    { signal }: CallOptions = {},
  ): AsyncGenerator<Uint8Array> {
    signal?.throwIfAborted()
    using content = await this.#contentOf(id, parent)
    const { entries, reference } = content
    yield* tarOf(watched(entries, signal), reference)
  }

  /** Windows does not say whether what a layer has is new: all that is not deleted is `modify`. */
  async changes(
    id: LayerId,
    parent: LayerId | undefined,
    { signal }: CallOptions = {},
  ): Promise<readonly Change[]> {
    using content = await this.#contentOf(id, parent)
    return Array.from(watched(content.entries, signal), ({ name, source }): Change => ({
      path: `/${name}`,
      kind: source === undefined ? 'delete' : 'modify',
    })).toSorted((a, b) => Buffer.from(a.path).compare(Buffer.from(b.path)))
  }

  async applyDiff(
    id: LayerId,
    parent: LayerId | undefined,
    tar: TarStream,
    options: CallOptions = {},
  ): Promise<number> {
    const folder = findLayer(this.home, id)
    const chain = parent === undefined ? [] : await this.#chainOn(parent)
    const size = await importLayer(this.#layers, folder, chain, tar, options)
    writeChain(folder, chain)
    return size
  }

  /** From the tar, whose files have their sizes. */
  async diffSize(id: LayerId, parent: LayerId | undefined, options: CallOptions = {}): Promise<number> {
    let size = 0
    const nothing = (): void => undefined
    const reader = new LayerTarReader({
      file: (file) => {
        size += file.size
      },
      stream: nothing,
      data: nothing,
      end: nothing,
      link: nothing,
      remove: nothing,
    })
    for await (const chunk of this.diff(id, parent, options)) reader.push(chunk)
    reader.finish()
    return size
  }

  /** What is mounted stays so, for containers that run. */
  async cleanup(): Promise<void> {}

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup()
  }

  /** What a layer has beyond its parent. A base layer is read where it is, any other Windows exports to a folder. */
  async #contentOf(id: LayerId, parent: LayerId | undefined): Promise<Content> {
    const folder = this.#comparable(id, parent)
    if (readChain(folder).length === 0)
      return { entries: entriesOfBase(folder), reference: undefined, [Symbol.dispose]: () => undefined }
    const exported = new ExportFolder()
    try {
      enableBackupPrivileges()
      await this.#mounts.exporting(id, folder, (chain) => this.#layers.export(folder, exported.path, chain))
    } catch (error) {
      exported[Symbol.dispose]()
      throw error
    }
    const reference = path.join(exported.path, 'Hives', 'System_Delta')
    return {
      entries: entriesOfExport(exported.path),
      reference: existsSync(reference) ? reference : undefined,
      [Symbol.dispose]: () => exported[Symbol.dispose](),
    }
  }

  #folder(id: LayerId): string {
    return layerFolder(this.home, id)
  }

  /** @throws GD_LAYER_EXISTS, GD_LAYER_NOT_FOUND */
  async #prepareCreation(
    id: LayerId,
    parent: LayerId | undefined,
  ): Promise<readonly [folder: string, chain: readonly string[]]> {
    const folder = path.join(this.home, id)
    if (existsSync(folder)) throw taken(id)
    return [folder, parent === undefined ? [] : await this.#chainOn(parent)]
  }

  /** The chain of a layer on this one. One without files, such as Docker's `-init`, is no part of it. */
  async #chainOn(parent: LayerId): Promise<readonly string[]> {
    const folder = findLayer(this.home, parent)
    const shown = isSandbox(folder) ? folder : (await this.#layers.mountPath(folder)) || folder
    const below = readChain(folder)
    return existsSync(path.join(shown, 'Files')) ? [shown, ...below] : below
  }

  async #record(folder: string, chain: readonly string[]): Promise<void> {
    try {
      writeChain(folder, chain)
    } catch (error) {
      await this.#layers.destroy(folder).catch(() => rmSync(folder, { recursive: true, force: true }))
      throw error
    }
  }

  #comparable(id: LayerId, parent: LayerId | undefined): string {
    const folder = findLayer(this.home, id)
    const [next] = readChain(folder)
    const asked = parent === undefined ? undefined : this.#folder(parent)
    if (next?.toLowerCase() === asked?.toLowerCase()) return folder
    throw new GraphDriverError(
      'GD_ARCHIVE_UNSUPPORTED',
      `layer ${id}: Windows tells what it has beyond ${next ?? 'nothing'}, not beyond ${asked ?? 'nothing'}`,
      { entry: id, reason: 'another parent' },
    )
  }
}

function* watched(entries: Iterable<Exported>, signal: AbortSignal | undefined): Generator<Exported> {
  for (const entry of entries) {
    signal?.throwIfAborted()
    yield entry
  }
}

/** Another process may have made it meanwhile. @throws GD_LAYER_EXISTS */
async function unlessTaken(id: LayerId, make: () => Promise<void>): Promise<void> {
  try {
    await make()
  } catch (error) {
    throw isSystemError(error, 'EEXIST') ? taken(id, error) : error
  }
}

function taken(id: LayerId, cause?: unknown): Error {
  return new GraphDriverError('GD_LAYER_EXISTS', `windows already holds a layer ${id}`, { id }, { cause })
}

function notFound(id: LayerId, cause: unknown): Error {
  return new GraphDriverError('GD_LAYER_NOT_FOUND', `windows holds no layer ${id}`, { id }, { cause })
}

/** Of the layer's disk. */
function sizeIn(id: LayerId, options: DriverOptions | undefined): number | undefined {
  const subject = `windows: layer ${id}`
  rejectUnknownOptions(subject, options ?? {}, ['size'])
  return parseQuota(subject, options ?? {}).size
}
