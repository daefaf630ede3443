/** Makes a layer of a tar. */
import { existsSync, lstatSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type CallOptions, type TarStream, unlessAborted } from '@graphdriver/core'
import { BackupFile, enableBackupPrivileges, longPath, type WindowsLayers } from '@graphdriver/sys/windows'
import {
  alternateHeader,
  invalidLayer,
  leadingStreams,
  type LayerHandler,
  LayerTarReader,
  type WindowsFile,
} from '@graphdriver/windows-layer'
import { ChildWriter } from './child-writer.ts'
import { DirectWriter } from './direct-writer.ts'
import { changedByWindows } from './layout.ts'
import { cloneUtilityVm, utilityVm } from './utility-vm.ts'

/** @returns bytes of the unnamed streams of its files */
export async function importLayer(
  layers: WindowsLayers,
  layer: string,
  chain: readonly string[],
  tar: TarStream,
  { signal }: CallOptions = {},
): Promise<number> {
  enableBackupPrivileges()
  const folder = chain.length === 0 ? undefined : mkdtempSync(path.join(tmpdir(), 'hcs'))
  try {
    using writer = new ImportWriter(layer, folder, chain)
    const reader = new LayerTarReader(writer)
    for await (const chunk of untilAborted(tar, signal)) {
      reader.push(chunk)
    }
    reader.finish()
    signal?.throwIfAborted()
    await finish(layers, layer, chain, folder, writer)
    return writer.contentBytes
  } finally {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true })
  }
}

/** A source may be silent for ever. @throws the signal's reason */
async function* untilAborted(tar: TarStream, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
  signal?.throwIfAborted()
  const source = tar[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = await unlessAborted(source.next(), signal)
      if (next.done === true) return
      yield next.value
    }
  } finally {
    // It may never answer.
    source.return?.()?.catch(() => undefined)
  }
}

async function finish(
  layers: WindowsLayers,
  layer: string,
  chain: readonly string[],
  folder: string | undefined,
  writer: ImportWriter,
): Promise<void> {
  writer.settle()
  // These calls want the long form of a path, all others the plain one.
  if (folder === undefined) await layers.processBaseImage(longPath(layer))
  else await layers.import(longPath(layer), folder, chain)
  writer.finish()
  const machine = path.join(layer, utilityVm)
  if (!existsSync(path.join(machine, 'Files'))) return
  if (lstatSync(machine).isSymbolicLink()) throw invalidLayer('it is a link', utilityVm)
  await layers.processUtilityImage(machine)
}

/** Hands each entry to who writes such ones. */
class ImportWriter implements LayerHandler, Disposable {
  readonly #layer: string
  readonly #below: string | undefined
  readonly #files: DirectWriter | ChildWriter
  /** Of a child: what is below UtilityVM goes into a copy of that of the layer below. */
  #machine: DirectWriter | undefined
  #current: LayerHandler
  #copy: BackupFile | undefined
  /** By name: the last of a name is the one. */
  readonly #sizes = new Map<string, number>()

  constructor(layer: string, folder: string | undefined, chain: readonly string[]) {
    this.#layer = layer
    this.#below = chain[0]
    this.#files =
      folder === undefined ? new DirectWriter(layer, false) : new ChildWriter(folder, layer, chain)
    this.#current = this.#files
  }

  get contentBytes(): number {
    let sum = 0
    for (const size of this.#sizes.values()) sum += size
    return sum
  }

  [Symbol.dispose](): void {
    this.#files[Symbol.dispose]()
    this.#machine?.[Symbol.dispose]()
    this.#copy?.[Symbol.dispose]()
  }

  file(file: WindowsFile): void {
    this.#sizes.set(file.name.toLowerCase(), file.size)
    const backup = changedByWindows.get(file.name.toLowerCase())
    if (backup !== undefined) {
      this.#copy = BackupFile.openToWrite(path.join(this.#layer, backup), 'createNew')
      this.#copy.write(leadingStreams({ ...file, security: undefined }), false)
    }
    this.#current = this.#writerOf(file.name)
    // Its directory was made with the copy.
    if (this.#current === this.#machine && file.name.toLowerCase() === utilityVm.toLowerCase())
      this.#current = ignored
    this.#current.file(file)
  }

  stream(name: string, size: number): void {
    this.#copy?.write(alternateHeader(name, size), false)
    this.#current.stream(name, size)
  }

  data(chunk: Uint8Array): void {
    this.#copy?.write(chunk, false)
    this.#current.data(chunk)
  }

  end(): void {
    this.#copy?.[Symbol.dispose]()
    this.#copy = undefined
    this.#current.end()
  }

  link(name: string, target: string): void {
    this.#writerOf(name).link(name, target)
  }

  remove(name: string): void {
    this.#writerOf(name).remove(name)
  }

  settle(): void {
    if (this.#files instanceof ChildWriter) this.#files.settle()
    else this.#files.finish()
  }

  finish(): void {
    if (this.#files instanceof ChildWriter) this.#files.finish()
    this.#machine?.finish()
  }

  #writerOf(name: string): DirectWriter | ChildWriter {
    const [first = '', second] = name.split('/')
    if (this.#below === undefined || first.toLowerCase() !== utilityVm.toLowerCase()) return this.#files
    if (second === undefined && this.#machine === undefined) {
      cloneUtilityVm(this.#below, this.#layer)
      this.#machine = new DirectWriter(this.#layer, true)
    }
    if (this.#machine === undefined)
      throw invalidLayer('its virtual machine does not begin with its directory', name)
    if (second !== undefined && second.toLowerCase() !== 'files')
      throw invalidLayer('it is not in UtilityVM/Files', name)
    return this.#machine
  }
}

const nothing = (): void => undefined
const ignored: LayerHandler = {
  file: nothing,
  stream: nothing,
  data: nothing,
  end: nothing,
  link: nothing,
  remove: nothing,
}
