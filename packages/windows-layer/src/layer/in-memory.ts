/** Whole layers as plain values: for small ones, for inspection and for tests. */
import type { WindowsFile } from './file.ts'
import { type LayerHandler, LayerTarReader } from './tar-reader.ts'
import { LayerTarWriter } from './tar-writer.ts'

/** An entry of a layer. */
export interface LayerEntry {
  readonly kind: 'file' | 'link' | 'remove'
  readonly name: string
  readonly file?: WindowsFile
  readonly target?: string
  readonly content: Buffer
  readonly streams: readonly (readonly [name: string, content: Buffer])[]
}

type Draft = { -readonly [Key in keyof LayerEntry]: LayerEntry[Key] } & {
  parts: Buffer[]
  further: [string, Buffer[]][]
}

class Collected implements LayerHandler {
  readonly #drafts: Draft[] = []
  #into: Buffer[] = []

  get entries(): readonly LayerEntry[] {
    return this.#drafts.map(({ parts, further, ...draft }) => ({
      ...draft,
      content: Buffer.concat(parts),
      streams: further.map(([name, bytes]) => [name, Buffer.concat(bytes)] as const),
    }))
  }

  file(file: WindowsFile): void {
    this.#add('file', file.name).file = file
  }

  stream(name: string): void {
    this.#into = []
    this.#drafts.at(-1)?.further.push([name, this.#into])
  }

  data(chunk: Uint8Array): void {
    this.#into.push(Buffer.from(chunk))
  }

  end(): void {
    this.#into = []
  }

  link(name: string, target: string): void {
    this.#add('link', name).target = target
  }

  remove(name: string): void {
    this.#add('remove', name)
  }

  #add(kind: LayerEntry['kind'], name: string): Draft {
    this.#into = []
    const draft: Draft = { kind, name, content: Buffer.alloc(0), streams: [], parts: this.#into, further: [] }
    this.#drafts.push(draft)
    return draft
  }
}

/** Tells a handler of these entries. */
export function tellLayer(entries: readonly LayerEntry[], to: LayerHandler): void {
  for (const { kind, name, file, target = '', content, streams } of entries) {
    if (kind === 'remove') to.remove(name)
    if (kind === 'link') to.link(name, target)
    if (kind !== 'file' || file === undefined) continue
    to.file(file)
    if (content.length > 0) to.data(content)
    for (const [stream, bytes] of streams) {
      to.stream(stream, bytes.length)
      if (bytes.length > 0) to.data(bytes)
    }
    to.end()
  }
}

/** @throws GD_ARCHIVE_INVALID, GD_ARCHIVE_BREAKOUT, GD_ARCHIVE_UNSUPPORTED */
export function readLayer(tar: Iterable<Uint8Array>): readonly LayerEntry[] {
  const collected = new Collected()
  const reader = new LayerTarReader(collected)
  for (const chunk of tar) reader.push(chunk)
  reader.finish()
  return collected.entries
}

/** The tar of a layer. */
export function writeLayer(entries: readonly LayerEntry[]): Buffer {
  const chunks: Buffer[] = []
  const writer = new LayerTarWriter((chunk) => chunks.push(Buffer.from(chunk)))
  tellLayer(entries, writer)
  writer.finish()
  return Buffer.concat(chunks)
}
