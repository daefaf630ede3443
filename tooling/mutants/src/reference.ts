/**
 * The reference driver: correct before anything else, and as plain as a driver can be.
 *
 * ```
 * <root>/reference/
 *   layers/<id>/tree/     a whole tree
 *   layers/<id>/depth     how many layers it is made of
 *   layers/<id>/image     the filesystem in which the tree lies instead, for a layer with a size
 *   layers/.graphdriver-layer-<random>/   a layer being made or deleted
 *   mounted/<id>/         where a layer is mounted
 * ```
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { naiveDiff, TreeWorkers } from '@graphdriver/archive'
import {
  asLayerId,
  type CallOptions,
  type Capabilities,
  checkQuota,
  type Change,
  type CreateOptions,
  defineDriver,
  type DiffDriver,
  type Driver,
  type DriverDefinition,
  driverApiVersion,
  GraphDriverError,
  type IdMap,
  type LayerId,
  layerMount,
  MappedViews,
  type Mount,
  MountReferences,
  parseQuota,
  type Quota,
  rejectUnknownOptions,
  type TarStream,
  type Usage,
} from '@graphdriver/core'
import {
  AT_FDCWD,
  attachLoop,
  ensureDirectory,
  existingAncestors,
  findLoopDevices,
  growExt4,
  growLoop,
  hasCapability,
  inUserNamespace,
  isMountPoint,
  isSystemError,
  makeScratch,
  mappedMounts,
  MNT,
  mount,
  moveToScratch,
  MS,
  reapScratch,
  RENAME,
  renameat2,
  run,
  type Scratch,
  statfs,
  umount,
  unmountTree,
} from '@graphdriver/sys'

export const referenceDepth = 40

const capabilities: Omit<Capabilities, 'deviceNodes' | 'ownership' | 'mappedOwners'> = {
  sharing: 'none',
  diff: { native: false, reason: 'whole trees are compared' },
  copyUp: 'none',
  maxDepth: referenceDepth,
  timestamps: 'nanoseconds',
  names: 'bytes',
  hardLinks: true,
  xattrs: 'all',
  quota: 'loop',
  inodeQuota: true,
  mountLabel: false,
}

export class ReferenceDriver implements Driver {
  readonly name = 'reference'
  readonly home: string
  readonly capabilities: Capabilities = {
    ...capabilities,
    deviceNodes: !inUserNamespace(),
    ownership: inUserNamespace() ? 'mapped' : 'any',
    mappedOwners: !inUserNamespace(),
  }
  readonly workers: TreeWorkers = new TreeWorkers()
  readonly #references = new MountReferences(isMountPoint)
  readonly views: MappedViews
  readonly #diff: DiffDriver = naiveDiff(this, this.workers)
  /** Something was left that could not be deleted; the next `remove` tries again. */
  #leftovers = false

  readonly #readOnly: boolean

  constructor(home: string, readOnly = false) {
    this.home = home
    this.views = new MappedViews(this.name, home, mappedMounts)
    this.#readOnly = readOnly
    if (readOnly) return
    mkdirSync(path.dirname(home), { recursive: true, mode: 0o711 })
    // Whoever could come in here could run the set-user-ID programs of every layer (CVE-2021-41091).
    ensureDirectory(home, 0o710)
    for (const name of ['layers', 'mounted']) mkdirSync(path.join(home, name), { recursive: true })
  }

  /** Deletes what a killed process was making or deleting. */
  async recover(): Promise<void> {
    const layers = path.join(this.home, 'layers')
    this.#leftovers = !(await reapScratch(layers, 'layer', ({ path: left }) => this.#discard(left)))
  }

  /** Where a layer's tree lies, for mutants to damage. */
  treeOf(id: LayerId): string {
    return path.join(this.#directoryOf(id), 'tree')
  }

  /** Where a layer is mounted. */
  mountPointOf(id: LayerId): string {
    return path.join(this.home, 'mounted', id)
  }

  #directoryOf(id: LayerId): string {
    return path.join(this.home, 'layers', id)
  }

  async create(id: LayerId, options: CreateOptions = {}): Promise<void> {
    const { parent, signal, storageOptions = {} } = options
    rejectUnknownOptions(`reference: layer ${id}`, storageOptions, ['size', 'inodes'])
    const quota = parseQuota(`layer ${id}`, storageOptions)
    signal?.throwIfAborted()
    if (await this.exists(id)) throw alreadyThere(id)
    const depth = parent === undefined ? 1 : this.#depthOf(parent) + 1
    if (depth > referenceDepth) throw tooDeep(id, depth)
    using scratch = makeScratch(path.join(this.home, 'layers'), 'layer', 0o755)
    try {
      writeFileSync(path.join(scratch.path, 'depth'), String(depth))
      await this.#fill(scratch.path, { quota, parent, signal })
      this.#takeName(scratch.path, id)
    } catch (error) {
      await this.#discard(scratch.path)
      throw error
    }
  }

  createReadWrite(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.create(id, options)
  }

  async #fill(
    directory: string,
    { quota, parent, signal }: CallOptions & { readonly quota: Quota; readonly parent?: LayerId | undefined },
  ): Promise<void> {
    const tree = path.join(directory, 'tree')
    // Not through mkdir's own mode: the umask would narrow it.
    mkdirSync(tree)
    chmodSync(tree, 0o755)
    if (quota.size !== undefined) await makeImage(path.join(directory, 'image'), quota.size, quota.inodes)
    using _ = quota.size === undefined ? undefined : mountImage(path.join(directory, 'image'), tree)
    rmSync(path.join(tree, 'lost+found'), { recursive: true, force: true })
    if (parent === undefined) return
    await using source = await this.get(parent, { signal })
    await this.workers.copy(source.path, tree, { signal })
  }

  #takeName(made: string, id: LayerId): void {
    try {
      renameat2(AT_FDCWD, made, AT_FDCWD, this.#directoryOf(id), RENAME.NOREPLACE)
    } catch (error) {
      throw isSystemError(error, 'EEXIST') ? alreadyThere(id) : error
    }
  }

  #depthOf(id: LayerId): number {
    return Number(readFileSync(path.join(this.#find(id), 'depth'), 'utf8'))
  }

  /** @throws GD_LAYER_NOT_FOUND */
  #find(id: LayerId): string {
    const directory = this.#directoryOf(id)
    if (existsSync(directory)) return directory
    throw new GraphDriverError('GD_LAYER_NOT_FOUND', `reference holds no layer ${id}`, { id })
  }

  async remove(id: LayerId, { signal }: CallOptions = {}): Promise<void> {
    signal?.throwIfAborted()
    if (this.#leftovers) await this.recover()
    await this.views.hide(id)
    const target = this.mountPointOf(id)
    const hidden: Scratch[] = []
    await this.#references.forget(target, () => {
      unmountAt(target)
      const dying = moveToScratch(this.#directoryOf(id), 'layer')
      if (dying !== undefined) hidden.push(dying)
    })
    for (const scratch of hidden) {
      using dying = scratch
      this.#leftovers = true
      await this.#discard(dying.path)
      this.#leftovers = false
    }
  }

  async #discard(directory: string): Promise<void> {
    unmountTree(directory)
    await this.workers.remove(directory)
  }

  async get(id: LayerId, { signal }: CallOptions = {}): Promise<Mount> {
    signal?.throwIfAborted()
    const target = this.mountPointOf(id)
    if (this.#readOnly) return layerMount(id, isMountPoint(target) ? target : this.treeOf(id), true)
    await this.#references.acquire(target, () => {
      const directory = this.#find(id)
      mkdirSync(target, { recursive: true })
      const image = path.join(directory, 'image')
      if (existsSync(image)) mountImage(image, target)
      else mount({ source: path.join(directory, 'tree'), target, flags: MS.BIND })
    })
    return layerMount(id, target, false, (mounted) => this.#put(mounted))
  }

  async getMapped(id: LayerId, ids: IdMap): Promise<Mount> {
    return await this.views.show(id, await this.get(id), ids)
  }

  async put(id: LayerId): Promise<void> {
    if (this.#readOnly) return
    await this.views.putLeft(id)
    await this.#put(id)
  }

  async #put(id: LayerId): Promise<void> {
    const target = this.mountPointOf(id)
    await this.#references.release(target, () => unmountAt(target))
  }

  async exists(id: LayerId): Promise<boolean> {
    return existsSync(this.#directoryOf(id))
  }

  async *layers({ signal }: CallOptions = {}): AsyncGenerator<LayerId> {
    for (const entry of readdirSync(path.join(this.home, 'layers'), { withFileTypes: true })) {
      signal?.throwIfAborted()
      const id = entry.isDirectory() ? asLayerId(entry.name) : undefined
      if (id !== undefined) yield id
    }
  }

  async status(): Promise<readonly (readonly [string, string])[]> {
    return [['Root Dir', this.home]]
  }

  async metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    return { Tree: path.join(this.#find(id), 'tree') }
  }

  async setQuota(id: LayerId, quota: Quota): Promise<void> {
    checkQuota(`layer ${id}`, quota)
    const image = path.join(this.#find(id), 'image')
    const { size } = quota
    if (size === undefined) return
    if (!existsSync(image) || size < statSync(image).size) {
      const message = `layer ${id}: size ${size}: only a layer with a size has one, which only grows`
      throw new GraphDriverError('GD_INVALID_OPTION', message, { option: 'size', value: String(size) })
    }
    if (!hasCapability('CAP_SYS_RESOURCE')) return this.#growUnmounted(id, image, size)
    truncateSync(image, size)
    await using mounted = await this.get(id)
    for (const device of findLoopDevices(image)) growLoop(device)
    growExt4(mounted.path, size)
  }

  async #growUnmounted(id: LayerId, image: string, size: number): Promise<void> {
    if (isMountPoint(this.mountPointOf(id))) {
      const message = `layer ${id}: size ${size}: it is mounted, and without CAP_SYS_RESOURCE it cannot grow then`
      throw new GraphDriverError('GD_INVALID_OPTION', message, { option: 'size', value: String(size) })
    }
    truncateSync(image, size)
    await run('resize2fs', ['-f', image])
  }

  async usage(id: LayerId): Promise<Usage | undefined> {
    if (!existsSync(path.join(this.#find(id), 'image'))) return undefined
    await using mounted = await this.get(id)
    const { blocks, blocksFree, blockSize, files, filesFree } = statfs(mounted.path)
    return { bytes: Number(blocks - blocksFree) * blockSize, inodes: Number(files - filesFree) }
  }

  diff(id: LayerId, parent: LayerId | undefined, options?: CallOptions): TarStream {
    return this.#diff.diff(id, parent, options)
  }

  changes(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<readonly Change[]> {
    return this.#diff.changes(id, parent, options)
  }

  applyDiff(
    id: LayerId,
    parent: LayerId | undefined,
    tar: TarStream,
    options?: CallOptions,
  ): Promise<number> {
    return this.#diff.applyDiff(id, parent, tar, options)
  }

  diffSize(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<number> {
    return this.#diff.diffSize(id, parent, options)
  }

  async cleanup(): Promise<void> {
    await this.workers[Symbol.asyncDispose]()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup()
  }
}

function alreadyThere(id: LayerId): GraphDriverError {
  return new GraphDriverError('GD_LAYER_EXISTS', `reference already holds a layer ${id}`, { id })
}

function tooDeep(id: LayerId, depth: number): GraphDriverError {
  const message = `layer ${id} would be the ${depth}th of its stack, and reference mounts ${referenceDepth}`
  return new GraphDriverError('GD_MAX_DEPTH', message, { id, depth, limit: referenceDepth })
}

async function makeImage(image: string, bytes: number, inodes?: number): Promise<void> {
  writeFileSync(image, '')
  truncateSync(image, bytes)
  const count = inodes === undefined ? [] : ['-N', String(inodes)]
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', '-E', 'nodiscard', ...count, image])
}

/** Mounts a layer's own filesystem; disposing it unmounts. The loop device goes with the mount. */
function mountImage(image: string, target: string): Disposable {
  using device = attachLoop(image, { autoclear: true })
  mount({ source: device.path, target, type: 'ext4' })
  return { [Symbol.dispose]: () => umount(target, MNT.NOFOLLOW) }
}

/** Not mounted is success. */
function unmountAt(target: string): void {
  try {
    umount(target, MNT.DETACH | MNT.NOFOLLOW)
  } catch (error) {
    if (!isSystemError(error, 'EINVAL', 'ENOENT')) throw error
  }
  rmSync(target, { recursive: true, force: true })
}

const definition: DriverDefinition = defineDriver({
  name: 'reference',
  apiVersion: driverApiVersion,
  platforms: ['linux'],
  summary: 'a copy per layer, mounted by bind mounts; for testing tests',
  opensReadOnly: true,
  parse(options) {
    rejectUnknownOptions('reference', options, [])
    return {}
  },
  async probe({ home }) {
    const nearest = existingAncestors(home)[0] ?? '/'
    try {
      using trial = makeScratch(nearest, 'probe', 0o700)
      rmSync(trial.path, { recursive: true })
      return { supported: true, notes: [] }
    } catch (error) {
      const reason = `${nearest} cannot be written: ${String(error)}`
      return { supported: false, code: 'not-writable', reason, hint: 'choose another root' }
    }
  },
  async open(host) {
    if (host.readOnly === true) return new ReferenceDriver(host.home, true)
    const answer = await definition.probe(host)
    if (!answer.supported)
      throw new GraphDriverError('GD_DRIVER_UNSUPPORTED', answer.reason, {
        driver: 'reference',
        reason: answer.code,
        hint: answer.hint,
      })
    const driver = new ReferenceDriver(host.home)
    await driver.recover()
    return driver
  },
})

export default definition
