/** What a reader tells, as plain values. */
import type { LayerHandler, WindowsFile } from '../src/index.ts'

export interface Told {
  readonly kind: 'file' | 'link' | 'remove'
  readonly name: string
  readonly file?: WindowsFile
  readonly target?: string
  readonly content: Buffer
  readonly streams: readonly (readonly [name: string, content: Buffer])[]
}

type Draft = { -readonly [Key in keyof Told]: Told[Key] } & { parts: Buffer[]; further: [string, Buffer[]][] }

export class Collected implements LayerHandler {
  readonly #drafts: Draft[] = []
  #into: Buffer[] = []

  get told(): readonly Told[] {
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

  #add(kind: Told['kind'], name: string): Draft {
    this.#into = []
    const draft: Draft = { kind, name, content: Buffer.alloc(0), streams: [], parts: this.#into, further: [] }
    this.#drafts.push(draft)
    return draft
  }
}

/** Tells a writer, or another, what was told. */
export function retell(told: readonly Told[], to: LayerHandler): void {
  for (const { kind, name, file, target = '', content, streams } of told) {
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
