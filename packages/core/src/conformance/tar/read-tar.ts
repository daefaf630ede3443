import { createHash } from 'node:crypto'
import { extract, type Header } from 'tar-stream'
import type { TarStream } from '../../driver.ts'

/** One entry of a layer tar, as tar-stream reads it: a reader that shares nothing with the drivers. */
export interface ReadEntry {
  readonly name: string
  readonly type: string
  /** The low twelve bits. */
  readonly mode: number
  readonly owner: string
  readonly size: number
  /** Seconds since 1970 as the tar has them, with a fraction where there is one. */
  readonly mtime: string
  /** The target of a hard or symbolic link; empty for anything else. */
  readonly link: string
  /** `major:minor`; `0:0` for what is no device. */
  readonly device: string
  /** Names of extended attributes, sorted. */
  readonly xattrs: readonly string[]
  /** SHA-256 of the content, in hexadecimal. */
  readonly digest: string
  /** The content as text, of files below 64 KiB. */
  readonly text: string
}

const xattrPrefix = 'SCHILY.xattr.'
const textLimit = 64 * 1024

/** The records of a PAX header that belongs to an entry. */
function paxOf({ pax }: Header): ReadonlyMap<string, string> {
  return new Map(Object.entries(pax ?? {}).map(([key, value]) => [key, String(value)]))
}

function describe(header: Header, content: Buffer): ReadEntry {
  const { name, type, mode, uid, gid, size, mtime, linkname, devmajor, devminor } = header
  const pax = paxOf(header)
  return {
    name,
    type,
    mode: mode & 0o7777,
    owner: `${pax.get('uid') ?? uid}:${pax.get('gid') ?? gid}`,
    size,
    mtime: pax.get('mtime') ?? String(mtime.getTime() / 1000),
    link: linkname ?? '',
    device: `${devmajor}:${devminor}`,
    xattrs: [...pax.keys()]
      .flatMap((key) => (key.startsWith(xattrPrefix) ? [key.slice(xattrPrefix.length)] : []))
      .toSorted(),
    digest: createHash('sha256').update(content).digest('hex'),
    text: content.length < textLimit ? content.toString() : '',
  }
}

/** Every entry of an uncompressed tar, in its order. */
export async function readTar(tar: TarStream | Uint8Array): Promise<readonly ReadEntry[]> {
  const reader = extract()
  const fed = feed(reader, tar instanceof Uint8Array ? [tar] : tar)
  const entries: ReadEntry[] = []
  for await (const entry of reader) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk))
    entries.push(describe(entry.header, Buffer.concat(chunks)))
  }
  await fed
  return entries
}

async function feed(
  reader: ReturnType<typeof extract>,
  tar: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  try {
    // A driver may use its buffer again once it is asked for the next chunk.
    for await (const chunk of tar) {
      if (!reader.write(Buffer.from(chunk))) {
        await new Promise<void>((resolve) => {
          reader.once('drain', resolve)
        })
      }
    }
    reader.end(Buffer.alloc(0))
  } catch (error) {
    reader.destroy(error instanceof Error ? error : new Error(String(error)))
    throw error
  }
}

/** All bytes of a stream. */
export async function collect(tar: TarStream): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of tar) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks)
}
