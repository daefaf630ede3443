/** The jobs of tree workers on NTFS: all copies keep what NTFS has, and Windows layers go in and out in their form. */
import { constants } from 'node:os'
import path from 'node:path'
import { type TarHandler, type TarHeader, TarParser } from '@graphdriver/archive'
import {
  type ApplyRequest,
  type ApplyResult,
  changesBetween,
  copyTree,
  Extractor,
  type Jobs,
  perform,
  type Perform,
  type RingReader,
  toChange,
  toTreeChange,
  type TreeChange,
} from '@graphdriver/archive/trees'
import { SystemError } from '@graphdriver/sys'
import { isWindowsHeader, LayerEntries } from '@graphdriver/windows-layer'
import { ntfsAttributes } from './extra.ts'
import { forgetInodes } from './forget.ts'
import { writeWindowsLayer } from './layer-reader.ts'
import { NtfsLayerWriter } from './layer-writer.ts'
import { isWindowsLayer, makeWindowsLayer } from './windows-layer.ts'

export const performOnNtfs: Perform = (job, reader, writer) => {
  const check = (): void => reader.check()
  const sink = (chunk: Uint8Array): void => writer.writeSync(chunk)
  switch (job.kind) {
    case 'apply':
      return apply(job.input, reader)
    case 'copy': {
      const { source, target, mode, overlayXattrs } = job.input
      const kind = isWindowsLayer(source) ? 'windows' : 'posix'
      const copied = copyTree(source, target, { mode, overlayXattrs }, check, ntfsAttributes(kind))
      if (kind === 'windows') forgetInodes(homeOf(target))
      return copied
    }
    case 'changes':
      if (!isWindowsLayer(job.input.tree)) break
      return changesOf(job.input, check).map(toChange)
    case 'diff':
      if (!isWindowsLayer(job.input.tree)) break
      writeWindowsLayer(job.input.tree, changesOf(job.input, check), sink, check)
      return undefined
    case 'pack':
      if (!isWindowsLayer(job.input.tree)) break
      writeWindowsLayer(job.input.tree, changesOf({ ...job.input, base: undefined }, check), sink, check)
      return undefined
    case 'exportChanges':
      if (!isWindowsLayer(job.input.tree)) break
      writeWindowsLayer(job.input.tree, job.input.changes.map(toTreeChange), sink, check)
      return undefined
    case 'remove':
      return removeTree(() => perform(job, reader, writer))
    case 'makeFiles':
    case 'size':
    case 'changesSize':
    case 'countDirectories':
    case 'shade':
    case 'convert':
  }
  return perform(job, reader, writer)
}

/** A file that is open when it is deleted stays, under another name, for as long as it is (`.fuse_hidden…`). */
function removeTree<T>(remove: () => T): T {
  try {
    return remove()
  } catch (error) {
    if (!(error instanceof SystemError) || error.code !== 'ENOTEMPTY') throw error
    const note =
      'a file in it is still open; the layer is out of sight, and goes with the next that is removed'
    throw new SystemError(constants.errno.EBUSY, { syscall: error.syscall, path: error.path, note })
  }
}

function changesOf(
  { tree, base }: Pick<Jobs['changes']['input'], 'tree' | 'base'>,
  check: () => void,
): TreeChange[] {
  return changesBetween(tree, base, check, undefined, ntfsAttributes('windows'))
}

/** Layers are in `<home>/dir`, those that are being made too. */
function homeOf(tree: string): string {
  return path.dirname(path.dirname(tree))
}

function apply(request: ApplyRequest, reader: RingReader): ApplyResult {
  using layer = new AnyLayer(request, () => reader.check())
  const parser = new TarParser(layer, request.limits)
  reader.drainSync((view) => parser.push(view))
  parser.finish()
  const result = layer.finish()
  if (isWindowsLayer(request.root)) forgetInodes(homeOf(request.root))
  return result
}

/** A layer whose first entry, or the layer below, tells whether it is one of Windows or of any other system. */
class AnyLayer implements TarHandler, Disposable {
  readonly #request: ApplyRequest
  readonly #check: () => void
  #layer: WindowsLayer | Extractor | undefined

  constructor(request: ApplyRequest, check: () => void) {
    this.#request = { ...request, names: 'unicode' }
    this.#check = check
  }

  header(header: TarHeader): void {
    this.#layer ??= this.#choose(isWindowsHeader(header))
    this.#layer.header(header)
  }

  data(chunk: Uint8Array): void {
    this.#layer?.data(chunk)
  }

  end(): void {
    if (this.#layer instanceof Extractor) this.#layer.end()
  }

  finish(): ApplyResult {
    this.#layer ??= this.#choose(false)
    return this.#layer.finish()
  }

  [Symbol.dispose](): void {
    this.#layer?.[Symbol.dispose]()
  }

  #choose(saysWindows: boolean): WindowsLayer | Extractor {
    const { root } = this.#request
    const isWindows = isWindowsLayer(root)
    if (!saysWindows && !isWindows) return new Extractor(this.#request, this.#check)
    if (!isWindows) makeWindowsLayer(root)
    return new WindowsLayer(root, this.#check)
  }
}

class WindowsLayer implements TarHandler, Disposable {
  readonly #writer: NtfsLayerWriter
  readonly #entries: LayerEntries
  #tarBytes = 0

  constructor(root: string, check: () => void) {
    this.#writer = new NtfsLayerWriter(root, check)
    this.#entries = new LayerEntries(this.#writer)
  }

  header(header: TarHeader): void {
    this.#tarBytes += header.realSize
    this.#entries.header(header)
  }

  data(chunk: Uint8Array): void {
    this.#entries.data(chunk)
  }

  finish(): ApplyResult {
    this.#entries.finish()
    this.#writer.finish()
    const { entries, contentBytes } = this.#writer
    return { entries, contentBytes, tarBytes: this.#tarBytes, skippedDevices: 0 }
  }

  [Symbol.dispose](): void {
    this.#writer[Symbol.dispose]()
  }
}
