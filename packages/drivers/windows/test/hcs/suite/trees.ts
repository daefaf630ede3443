/**
 * The engine as the suite wants a driver to be, whose layers can be mounted, written to and then be a parent. With Docker
 * too, a layer that is written to is that of a container, and an image's is made of its diff: that is what is done here,
 * by the engine's own calls, whenever one becomes a parent. Tars are turned from the form of Linux to that of Windows and
 * back. All else, and all that is kept, is the engine's.
 */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import {
  type CallOptions,
  type Capabilities,
  type Change,
  type CreateOptions,
  type Driver,
  type DriverDefinition,
  type GetOptions,
  GraphDriverError,
  isGraphDriverError,
  KeyedMutex,
  type LayerId,
  type Mount,
  parseLayerId,
  rejectUnknownOptions,
  type StatusRow,
  type TarStream,
} from '@graphdriver/core'
import windows from '@graphdriver/windows'
import { writeLayer } from '@graphdriver/windows-layer'
import { directory } from '../case.ts'
import { mirror } from './mirror.ts'
import { toPosix, ToWindows } from './tars.ts'

/** What is known of a layer beside what the engine keeps. */
interface Note {
  readonly parent?: LayerId
  /** The image that its own layer stands on. */
  readonly on: LayerId
  /** The image that was made of it. */
  readonly image?: LayerId
  /** Milliseconds: a layer of Windows does not carry that of its root. */
  readonly rootTime?: number
}

const imageMark = '..image-'
const root = parseLayerId(`root${imageMark}0`)

export const windowsTrees: DriverDefinition = {
  ...windows,
  async open({ root, home }) {
    const engine = await windows.open({ root, home, options: windows.parse({}) })
    const driver = new TreeDriver(engine, path.join(engine.home, '.notes'))
    await driver.prepare()
    return driver
  },
}

/** Of all instances: a layer and its note change together. */
const mutex = new KeyedMutex()

class TreeDriver implements Driver {
  readonly name = windows.name
  readonly home: string
  readonly capabilities: Capabilities
  readonly #engine: Driver
  readonly #notes: string

  constructor(engine: Driver, notes: string) {
    this.#engine = engine
    this.home = engine.home
    this.#notes = notes
    // The double has no disks.
    this.capabilities = { ...engine.capabilities, quota: 'none' }
  }

  /** An image with nothing in it, for all to stand on. */
  async prepare(): Promise<void> {
    mkdirSync(this.#notes, { recursive: true })
    if (await this.#engine.exists(root)) return
    try {
      await this.#engine.create(root)
    } catch (error) {
      // Another instance makes it.
      if (isGraphDriverError(error, 'GD_LAYER_EXISTS')) return
      throw error
    }
    await this.#engine.applyDiff(root, undefined, once(writeLayer([directory('Files'), directory('Hives')])))
  }

  create(id: LayerId, options?: CreateOptions): Promise<void> {
    return this.createReadWrite(id, options)
  }

  async createReadWrite(id: LayerId, { parent, storageOptions, signal }: CreateOptions = {}): Promise<void> {
    rejectUnknownOptions(`layer ${id}`, storageOptions ?? {}, [])
    signal?.throwIfAborted()
    const on = parent === undefined ? root : await this.#imageOf(parent)
    await mutex.exclusively(this.#noteFile(id), async () => {
      await this.#engine.createReadWrite(id, { parent: on, signal })
      this.#note(id, { on, ...(parent === undefined ? {} : { parent }) })
    })
    const { rootTime } = parent === undefined ? {} : this.#noteOf(parent)
    if (rootTime === undefined) return
    const mount = await this.#engine.get(id)
    utimesSync(mount.path, rootTime / 1000, rootTime / 1000)
    await mount[Symbol.asyncDispose]()
  }

  async remove(id: LayerId, options?: CallOptions): Promise<void> {
    await mutex.exclusively(this.#noteFile(id), async () => {
      await this.#engine.remove(id, options)
      rmSync(this.#noteFile(id), { force: true })
    })
  }

  get(id: LayerId, options?: GetOptions): Promise<Mount> {
    return mutex.exclusively(this.#noteFile(id), () => this.#getNoted(id, options))
  }

  async #getNoted(id: LayerId, options: GetOptions | undefined): Promise<Mount> {
    const mount = await this.#engine.get(id, options)
    // What comes of it now is another image.
    const { image: _, ...note } = this.#noteOf(id)
    this.#note(id, note)
    return mount
  }

  put(id: LayerId): Promise<void> {
    return this.#engine.put(id)
  }

  exists(id: LayerId): Promise<boolean> {
    return this.#engine.exists(id)
  }

  async *layers(options?: CallOptions): AsyncGenerator<LayerId> {
    for await (const id of this.#engine.layers(options)) if (!id.includes(imageMark)) yield id
  }

  status(): Promise<readonly StatusRow[]> {
    return this.#engine.status()
  }

  metadata(id: LayerId): Promise<Readonly<Record<string, string>>> {
    return this.#engine.metadata(id)
  }

  async *diff(id: LayerId, parent: LayerId | undefined, options?: CallOptions): AsyncGenerator<Uint8Array> {
    const chunks = await this.#beyond(id, parent, async (layer, on) =>
      Array.fromAsync(this.#engine.diff(layer, on, options), (chunk) => Buffer.from(chunk)),
    )
    const tar = toPosix(chunks)
    for (let at = 0; at < tar.length; at += 64 * 1024) {
      options?.signal?.throwIfAborted()
      yield tar.subarray(at, at + 64 * 1024)
    }
    options?.signal?.throwIfAborted()
  }

  async changes(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<readonly Change[]> {
    return this.#beyond(id, parent, async (layer, on) => {
      const changes = await this.#engine.changes(layer, on, options)
      const below = path.join(this.home, on, 'Files')
      const listed = changes.flatMap(({ path: name, kind }): Change[] => {
        const inside = /^\/Files(\/.+)$/.exec(name)?.[1]
        if (inside === undefined) return []
        const isNew = kind !== 'delete' && !existsSync(path.join(below, inside))
        return [{ path: inside, kind: isNew ? 'add' : kind }]
      })
      // A directory's own time says nothing of it; the deepest come first.
      const kept: Change[] = []
      for (const change of listed.toReversed()) {
        const { path: name, kind } = change
        const isDirectory = kind === 'modify' && statSync(path.join(below, name)).isDirectory()
        if (!isDirectory || kept.some((other) => other.path.startsWith(`${name}/`))) kept.push(change)
      }
      return kept.toReversed()
    })
  }

  async applyDiff(
    id: LayerId,
    _parent: LayerId | undefined,
    tar: TarStream,
    options?: CallOptions,
  ): Promise<number> {
    const { on } = this.#noteOf(id)
    const below = path.join(this.home, on, 'Files')
    const listed = (name: string): readonly string[] => {
      const at = path.join(below, name)
      return existsSync(at) ? readdirSync(at) : []
    }
    const converted = await convertedTar(tar, new ToWindows(listed), options?.signal)
    const image = this.#fresh(id)
    await this.#engine.create(image, { parent: on })
    try {
      const size = await inWordsOfLinux(() => this.#engine.applyDiff(image, on, once(converted), options))
      const mount = await this.#engine.get(id)
      try {
        mirror(path.join(this.home, image, 'Files'), mount.path)
      } finally {
        await mount[Symbol.asyncDispose]()
      }
      return size
    } finally {
      await this.#engine.remove(image)
    }
  }

  async diffSize(id: LayerId, parent: LayerId | undefined, options?: CallOptions): Promise<number> {
    return this.#beyond(id, parent, (layer, on) => this.#engine.diffSize(layer, on, options))
  }

  cleanup(): Promise<void> {
    return this.#engine.cleanup()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.cleanup()
  }

  /** The engine tells what a layer has beyond the one that it stands on: for another, it is put on that. */
  async #beyond<T>(
    id: LayerId,
    parent: LayerId | undefined,
    use: (layer: LayerId, on: LayerId) => Promise<T>,
  ): Promise<T> {
    const { on, parent: own } = this.#noteOf(id)
    if (parent === own) return use(id, on)
    const other = parent === undefined ? root : await this.#imageOf(parent)
    const layer = this.#fresh(id)
    await this.#engine.createReadWrite(layer, { parent: other })
    try {
      const [from, to] = [await this.#engine.get(id), await this.#engine.get(layer)]
      mirror(from.path, to.path)
      await to[Symbol.asyncDispose]()
      await from[Symbol.asyncDispose]()
      return await use(layer, other)
    } finally {
      await this.#engine.remove(layer)
    }
  }

  /** What a layer shows now, as an image. */
  #imageOf(id: LayerId): Promise<LayerId> {
    return mutex.exclusively(`image of ${this.#noteFile(id)}`, async () => {
      const note = this.#noteOf(id)
      if (note.image !== undefined) return note.image
      const image = this.#fresh(id)
      const mount = await this.#engine.get(id)
      const { mtimeMs: rootTime } = statSync(mount.path)
      await mount[Symbol.asyncDispose]()
      await this.#engine.create(image, { parent: note.on })
      await this.#engine.applyDiff(image, note.on, this.#engine.diff(id, note.on))
      this.#note(id, { ...note, image, rootTime })
      return image
    })
  }

  #fresh(id: LayerId): LayerId {
    const known = new Set(readdirSync(this.home))
    let number = 0
    while (known.has(`${id}${imageMark}${number}`) || known.has(`${id}${imageMark}${number}-removing`))
      number++
    return parseLayerId(`${id.slice(0, 200)}${imageMark}${number}`)
  }

  #noteFile(id: LayerId): string {
    return path.join(this.#notes, `${id}.json`)
  }

  #noteOf(id: LayerId): Note {
    try {
      return JSON.parse(readFileSync(this.#noteFile(id), 'utf8')) as Note
    } catch {
      throw new GraphDriverError('GD_LAYER_NOT_FOUND', `windows holds no layer ${id}`, { id })
    }
  }

  #note(id: LayerId, note: Note): void {
    const file = this.#noteFile(id)
    writeFileSync(`${file}~`, JSON.stringify(note))
    renameSync(`${file}~`, file)
  }
}

/** Errors name entries as the tar of Linux does. */
async function inWordsOfLinux<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (!isGraphDriverError(error) || !('entry' in error.details) || typeof error.details.entry !== 'string')
      throw error
    const entry = error.details.entry.replace(/^Files\//, '')
    throw new GraphDriverError(error.code, error.message, { ...error.details, entry } as never)
  }
}

/** Whatever the source does: it may be silent for ever, or never end. */
async function convertedTar(
  tar: TarStream,
  conversion: ToWindows,
  signal: AbortSignal | undefined,
): Promise<Buffer> {
  const { promise, reject } = Promise.withResolvers<never>()
  promise.catch(() => undefined)
  const stop = (): void => reject(signal?.reason as Error)
  signal?.addEventListener('abort', stop, { once: true })
  const source = tar[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await Promise.race([source.next(), promise])
      if (next.done === true) return conversion.finish()
      conversion.push(next.value)
    }
  } finally {
    signal?.removeEventListener('abort', stop)
    source.return?.()?.catch(() => undefined)
  }
}

async function* once(tar: Uint8Array): AsyncGenerator<Uint8Array> {
  yield tar
}
