/** The suite's tars are those of Linux, where a layer has no `Files` above its root. */
import { type TarEntry, type TarHeader, TarParser, TarWriter } from '@graphdriver/archive'
import { type LayerEntry, readLayer, writeLayer } from '@graphdriver/windows-layer'
import { CannotRun } from '@graphdriver/core/conformance'
import { GraphDriverError } from '@graphdriver/core'

const directoryAttribute = 0x10

/** Turns a tar of Linux into one of Windows, as it comes. */
export class ToWindows {
  readonly #entries: LayerEntry[] = [entryOf('Files', true, 0n, Buffer.alloc(0))]
  readonly #parser: TarParser

  /** @param isThere what is in a directory of the layers below */
  constructor(isThere: (name: string) => readonly string[]) {
    let header: TarHeader | undefined
    let chunks: Buffer[] = []
    this.#parser = new TarParser({
      header: (next) => {
        header = next
        chunks = []
      },
      data: (chunk) => void chunks.push(Buffer.from(chunk)),
      end: () => {
        if (header !== undefined) this.#entries.push(...convert(header, Buffer.concat(chunks), isThere))
      },
    })
  }

  /** @throws CannotRun for what no Windows could have under Wine, where links and devices are nothing */
  push(chunk: Uint8Array): void {
    this.#parser.push(chunk)
  }

  finish(): Buffer {
    this.#parser.finish()
    return writeLayer(this.#entries)
  }
}

function convert(
  header: TarHeader,
  content: Buffer,
  isThere: (name: string) => readonly string[],
): readonly LayerEntry[] {
  const name = nameOf(header.name)
  if (name === '') return []
  const split = name.lastIndexOf('/') + 1
  const [above, base] = [name.slice(0, split), name.slice(split)]
  if (base === '.wh..wh..opq')
    return isThere(above.slice(0, -1)).map((child) => removal(`Files/${above}${child}`))
  // AUFS's own.
  if (/(?:^|\/)\.wh\.\.wh\./.test(name)) return []
  if (header.sparse !== undefined) throw new CannotRun('the double has no sparse files')
  if (base.startsWith('.wh.')) return [removal(`Files/${above}${base.slice(4)}`)]
  switch (header.type) {
    case 'file':
    case 'directory':
      return [entryOf(`Files/${name}`, header.type === 'directory', header.mtimeNs, content)]
    case 'hardlink':
      if (/(?:^|\/)\.wh\.\.wh\./.test(nameOf(header.linkName)))
        throw new CannotRun('AUFS’s own links are nothing to Windows')
      return [
        {
          kind: 'link',
          name: `Files/${name}`,
          target: `Files/${nameOf(header.linkName)}`,
          content: Buffer.alloc(0),
          streams: [],
        },
      ]
    case 'symlink':
    case 'char':
    case 'block':
    case 'fifo':
    case 'other':
      throw new CannotRun(`Wine has no files of the type '${header.type}'`)
  }
}

/** By the words alone, as a path from a root. @throws GD_ARCHIVE_BREAKOUT */
function nameOf(bytes: Buffer): string {
  const kept: string[] = []
  for (const part of bytes.toString().split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') kept.push(part)
    else if (kept.pop() === undefined && bytes[0] !== 0x2f)
      throw new GraphDriverError('GD_ARCHIVE_BREAKOUT', `'${bytes.toString()}' leads out of the layer`, {
        entry: bytes.toString(),
      })
  }
  return kept.join('/')
}

function removal(name: string): LayerEntry {
  return { kind: 'remove', name, content: Buffer.alloc(0), streams: [] }
}

function entryOf(name: string, isDirectory: boolean, time: bigint, content: Buffer): LayerEntry {
  return {
    kind: 'file',
    name,
    content,
    streams: [],
    file: {
      name,
      attributes: isDirectory ? directoryAttribute : 0x20,
      created: time,
      written: time,
      accessed: time,
      changed: time,
      security: undefined,
      extendedAttributes: [],
      reparsePoint: undefined,
      size: content.length,
    },
  }
}

/** @param statOf what a file of the layer has that Windows' form does not say */
export function toPosix(tar: readonly Buffer[]): Buffer {
  const chunks: Buffer[] = []
  const writer = new TarWriter((chunk) => chunks.push(Buffer.from(chunk)))
  for (const { kind, name, file, target = '', content } of readLayer(tar)) {
    const inside = /^Files\/(.+)$/.exec(name)?.[1]
    if (inside === undefined) continue
    const split = inside.lastIndexOf('/') + 1
    if (kind === 'remove') writer.entry(plain(`${inside.slice(0, split)}.wh.${inside.slice(split)}`))
    else if (kind === 'link')
      writer.entry({
        ...plain(inside),
        type: 'hardlink',
        linkName: Buffer.from(target.slice('Files/'.length)),
      })
    else if (file !== undefined && (file.attributes & directoryAttribute) !== 0)
      writer.entry({ ...plain(`${inside}/`), type: 'directory', mode: 0o755, mtimeNs: file.written })
    else if (file !== undefined) {
      writer.entry({ ...plain(inside), mode: 0o644, size: content.length, mtimeNs: file.written })
      for (let at = 0; at < content.length;) {
        const space = writer.space()
        const piece = content.subarray(at, at + space.length)
        space.set(piece)
        writer.wrote(piece.length)
        at += piece.length
      }
    }
  }
  writer.finish()
  return Buffer.concat(chunks)
}

function plain(name: string): TarEntry {
  return {
    name: Buffer.from(name),
    type: 'file',
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtimeNs: 0n,
    linkName: Buffer.alloc(0),
    devMajor: 0,
    devMinor: 0,
    xattrs: [],
  }
}
