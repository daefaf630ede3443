/** A tar as it comes with other names or owners in it. */
import { type TarEntry, type TarHeader, TarParser, TarWriter } from '@graphdriver/archive'
import type { TarStream } from '@graphdriver/core'

export interface Changes {
  /** What the first part of each name becomes. */
  readonly name?: { readonly from: string; readonly to: string } | undefined
  /** Whose all is to be. */
  readonly owner?: { readonly uid: number; readonly gid: number } | undefined
}

/** Of a tar such as `TreeWorkers.pack` writes: without sparse files, or what is no file, link, device or directory. */
export async function* changed(tar: TarStream, changes: Changes): TarStream {
  const made: Buffer[] = []
  const writer = new TarWriter((chunk) => made.push(Buffer.from(chunk)))
  const parser = new TarParser({
    header: (header) => writer.entry(entryOf(header, changes)),
    data(chunk) {
      for (let at = 0; at < chunk.length;) {
        const space = writer.space()
        const length = Math.min(space.length, chunk.length - at)
        space.set(chunk.subarray(at, at + length))
        writer.wrote(length)
        at += length
      }
    },
  })
  for await (const chunk of tar) {
    parser.push(chunk)
    yield* made.splice(0)
  }
  parser.finish()
  writer.finish()
  yield* made
}

function entryOf(header: TarHeader, { name, owner }: Changes): TarEntry {
  const { type } = header
  if (type === 'other') throw new Error('a tar of a tree has nothing that is no file')
  const renamed = (text: Buffer): Buffer => {
    const from = Buffer.from(name?.from ?? '')
    return name !== undefined && text.subarray(0, from.length).equals(from)
      ? Buffer.concat([Buffer.from(name.to), text.subarray(from.length)])
      : text
  }
  const entry = { ...header, ...owner, type, name: renamed(header.name) }
  return type === 'hardlink' ? { ...entry, linkName: renamed(header.linkName) } : entry
}
