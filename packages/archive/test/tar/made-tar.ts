import { type TarEntry, TarWriter } from '../../src/index.ts'

/** An entry as a test cares to say it. */
export interface Made extends Partial<Omit<TarEntry, 'name' | 'linkName' | 'size'>> {
  readonly name: string | Buffer
  readonly linkName?: string
  readonly content?: string | Buffer
}

/** A tar by our own writer. */
export function makeTar(...entries: readonly Made[]): Buffer {
  const chunks: Buffer[] = []
  const writer = new TarWriter((chunk) => chunks.push(Buffer.from(chunk)))
  for (const { content = '', linkName = '', ...entry } of entries) {
    const bytes = Buffer.from(content)
    writer.entry({
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtimeNs: 0n,
      devMajor: 0,
      devMinor: 0,
      xattrs: [],
      ...entry,
      name: Buffer.from(entry.name),
      linkName: Buffer.from(linkName),
      size: bytes.length,
    })
    for (let at = 0; at < bytes.length;) {
      const copied = bytes.copy(writer.space(), 0, at)
      writer.wrote(copied)
      at += copied
    }
  }
  writer.finish()
  return Buffer.concat(chunks)
}

/** Rewrites bytes of the header block at `block` and makes its checksum right again. */
export function patchHeader(tar: Buffer, block: number, at: number, bytes: Buffer): Buffer {
  const patched = Buffer.from(tar)
  bytes.copy(patched, block + at)
  patched.fill(' ', block + 148, block + 156)
  const sum = patched.subarray(block, block + 512).reduce((total, byte) => total + byte, 0)
  patched.write(`${sum.toString(8).padStart(6, '0')}\0 `, block + 148, 'latin1')
  return patched
}
