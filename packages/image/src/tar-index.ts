/**
 * Where each file of a tar lies, found by reading its headers alone: payloads are sought over, so that the index of
 * an archive of gigabytes costs a few reads. The parser is archive's, and as it wants every byte, the ones that were
 * not read are given to it as zeros.
 */
import type { FileHandle } from 'node:fs/promises'
import { type TarHeader, TarParser } from '@graphdriver/archive'
import { type CallOptions, isGraphDriverError } from '@graphdriver/core'
import { invalidImage } from './invalid-image.ts'

export interface TarEntry {
  readonly type: TarHeader['type']
  /** Byte in the archive where the payload begins. */
  readonly start: number
  readonly size: number
  /** Target of a link. */
  readonly link: string
  /** The payload is not the file: holes were left out. */
  readonly sparse: boolean
}

const blockBytes = 512
const windowBytes = 16 * 1024
/** A docker save archive has some entries per layer; whole filesystems have more than this. */
const maxEntries = 1_000_000
/** What the kernel allows (`MAXSYMLINKS`). */
const maxLinks = 40

export class TarIndex {
  readonly #entries: ReadonlyMap<string, TarEntry>
  readonly #source: string
  /** The end marker was there. Without it an archive may have been cut between two entries. */
  readonly complete: boolean

  constructor(entries: ReadonlyMap<string, TarEntry>, complete: boolean, source: string) {
    this.#entries = entries
    this.#source = source
    this.complete = complete
  }

  names(): Iterable<string> {
    return this.#entries.keys()
  }

  /**
   * The file of this name, links followed as if the archive were the whole filesystem.
   *
   * @throws GD_IMAGE_INVALID for links without end
   */
  file(name: string): TarEntry | undefined {
    const left = components(name)
    const done: string[] = []
    let links = 0
    for (let part = left.shift(); part !== undefined; part = left.shift()) {
      if (part === '..') {
        done.pop()
        continue
      }
      done.push(part)
      const entry = this.#entries.get(done.join('/'))
      if (entry?.type !== 'symlink' && entry?.type !== 'hardlink') continue
      links += 1
      if (links > maxLinks) throw invalidImage(this.#source, `has links without end at '${name}'`)
      // A symlink starts from its own directory, a hard link and an absolute symlink from the archive's root.
      if (entry.type === 'symlink' && !entry.link.startsWith('/')) done.pop()
      else done.length = 0
      left.unshift(...components(entry.link))
    }
    const entry = this.#entries.get(done.join('/'))
    return entry?.type === 'file' ? entry : undefined
  }
}

function components(name: string): string[] {
  return name.split('/').filter((part) => part !== '' && part !== '.')
}

/**
 * @param size of the file
 * @throws GD_IMAGE_INVALID for what is no tar, or a damaged or truncated one
 */
export async function indexTar(
  file: FileHandle,
  size: number,
  source: string,
  options: CallOptions = {},
): Promise<TarIndex> {
  const scan = new HeaderScan(file, size, source)
  try {
    await scan.run(options)
  } catch (error) {
    if (!isGraphDriverError(error, 'GD_ARCHIVE_INVALID')) throw error
    throw invalidImage(source, `is a damaged tar: ${error.message}`, error)
  }
  return new TarIndex(scan.entries, scan.complete, source)
}

/** Stands for all payload bytes. */
const zeros = Buffer.alloc(1024 * 1024)

class HeaderScan {
  readonly entries: Map<string, TarEntry> = new Map()
  complete = false
  readonly #file: FileHandle
  readonly #size: number
  readonly #source: string
  readonly #parser: TarParser
  readonly #window: Buffer = Buffer.alloc(windowBytes)
  #windowStart = 0
  #windowLength = 0
  #found: TarHeader | undefined

  constructor(file: FileHandle, size: number, source: string) {
    this.#file = file
    this.#size = size
    this.#source = source
    const header = (found: TarHeader): void => {
      this.#found = found
    }
    this.#parser = new TarParser({ header, data: () => undefined }, { maxEntries })
  }

  async run(options: CallOptions): Promise<void> {
    let zeroBlocks = 0
    for (let position = 0; position < this.#size && !this.complete;) {
      options.signal?.throwIfAborted()
      const block = await this.#block(position)
      this.#found = undefined
      this.#parser.push(block)
      position += block.length
      const found = this.#taken()
      zeroBlocks = found === undefined && block.every((byte) => byte === 0) ? zeroBlocks + 1 : 0
      this.complete = zeroBlocks === 2
      if (found === undefined) continue
      this.#record(found, position)
      position = this.#skip(found, position)
    }
    this.#parser.finish()
  }

  /** Apart, since the compiler does not see that `push` calls back. */
  #taken(): TarHeader | undefined {
    return this.#found
  }

  #record(header: TarHeader, start: number): void {
    const name = header.name.toString()
    if (start + header.size > this.#size) {
      const there = this.#size - start
      const reason = `is a truncated tar: '${name}' has ${header.size} bytes of which ${there} are there`
      throw invalidImage(this.#source, reason)
    }
    // A name with '..' is kept as it is, where no lookup comes: lookups resolve it.
    this.entries.set(components(name).join('/'), {
      type: header.type,
      start,
      size: header.size,
      link: header.linkName.toString(),
      sparse: header.sparse !== undefined,
    })
  }

  /** @returns where the next header is */
  #skip(header: TarHeader, position: number): number {
    const end = position + Math.ceil(header.size / blockBytes) * blockBytes
    for (let at = position; at < end; at += zeros.length) {
      this.#parser.push(zeros.subarray(0, Math.min(zeros.length, end - at)))
    }
    return end
  }

  /** One block; less at the end of a file that is no multiple of them. */
  async #block(position: number): Promise<Uint8Array> {
    const wanted = Math.min(blockBytes, this.#size - position)
    const offset = position - this.#windowStart
    if (offset >= 0 && offset + wanted <= this.#windowLength)
      return this.#window.subarray(offset, offset + wanted)
    const { bytesRead } = await this.#file.read(this.#window, 0, windowBytes, position)
    if (bytesRead < wanted)
      throw invalidImage(this.#source, `ends at byte ${position + bytesRead}; it is truncated`)
    this.#windowStart = position
    this.#windowLength = bytesRead
    return this.#window.subarray(0, wanted)
  }
}
