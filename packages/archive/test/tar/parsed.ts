import type { ArchiveLimits } from '../../src/index.ts'
import { type TarHeader, TarParser } from '../../src/index.ts'

export interface ParsedEntry {
  readonly header: TarHeader
  readonly content: Buffer
}

export interface Parsed {
  readonly entries: readonly ParsedEntry[]
  /** Everything in its order: must be the archive again. */
  readonly bytes: Buffer
}

/** Parses a whole archive in chunks of `step` bytes. */
export function parse(tar: Uint8Array, step = 65536, limits: Partial<ArchiveLimits> = {}): Parsed {
  const entries: ParsedEntry[] = []
  const bytes: Buffer[] = []
  let header: TarHeader | undefined
  let content: Buffer[] = []
  const parser = new TarParser(
    {
      header(found) {
        header = found
        content = []
      },
      data(chunk) {
        content.push(Buffer.from(chunk))
        bytes.push(Buffer.from(chunk))
      },
      end() {
        if (header !== undefined) entries.push({ header, content: Buffer.concat(content) })
        header = undefined
      },
      raw(chunk) {
        bytes.push(Buffer.from(chunk))
      },
    },
    limits,
  )
  for (let at = 0; at < tar.length; at += step) {
    // A copy that is spoilt afterwards: what the parser keeps must not be a view of it.
    const chunk = Buffer.from(tar.subarray(at, at + step))
    parser.push(chunk)
    chunk.fill(0xee)
  }
  parser.finish()
  return { entries, bytes: Buffer.concat(bytes) }
}

export function names(tar: Uint8Array): readonly string[] {
  return parse(tar).entries.map(({ header }) => header.name.toString())
}

/** The file that a sparse entry stands for. */
export function expand({ header, content }: ParsedEntry): Buffer {
  if (header.sparse === undefined) return content
  const file = Buffer.alloc(header.realSize)
  let at = 0
  for (const { offset, length } of header.sparse) {
    content.copy(file, offset, at, at + length)
    at += length
  }
  return file
}
