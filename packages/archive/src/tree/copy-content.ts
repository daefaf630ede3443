import { ftruncateSync, readSync, writeSync } from 'node:fs'
import { copyFileRange, ficlone, isSystemError, lseekData, lseekHole, type Stat } from '@graphdriver/sys'

const bufferSize = 1024 * 1024
/** What is worth a hole. */
const holeSize = 64 * 1024
const zeros = Buffer.alloc(holeSize)
/** The kernel copies this much before the caller may stop it. */
const rangeSize = 16 * 1024 * 1024

/** The best way known to work on this pair of filesystems; it only ever gets worse. */
type Way = 'clone' | 'range' | 'plain'

/** Copies the content of files by sharing extents, else inside the kernel, else by reading and writing. */
export class ContentCopier {
  #way: Way = 'clone'
  #cloned = 0
  #copied = 0
  #buffer: Buffer | undefined
  readonly #check: () => void

  constructor(check: () => void) {
    this.#check = check
  }

  /** All content so far shares its extents with the source. */
  get reflinked(): boolean {
    return this.#cloned > 0 && this.#copied === 0
  }

  /** @param target empty */
  copy(source: number, target: number, stat: Stat): void {
    if (stat.size === 0) return
    if (this.#way === 'clone' && this.#clone(source, target)) return
    this.#copied++
    if (stat.blocks * 512 < stat.size) this.#copySparse(source, target, stat.size)
    else this.#copyDense(source, target)
  }

  #clone(source: number, target: number): boolean {
    try {
      ficlone(target, source)
      this.#cloned++
      return true
    } catch (error) {
      if (!isSystemError(error, 'EOPNOTSUPP', 'ENOTSUP', 'EINVAL', 'EXDEV', 'ENOTTY', 'ENOSYS', 'EPERM'))
        throw error
      this.#way = 'range'
      return false
    }
  }

  /** Both at their positions, until the source's end, which may have moved since it was looked at. */
  #copyDense(source: number, target: number): void {
    try {
      while (this.#way !== 'plain') {
        if (copyFileRange(source, target, rangeSize) === 0) break
        this.#check()
      }
    } catch (error) {
      if (!isSystemError(error, 'EOPNOTSUPP', 'ENOTSUP', 'EINVAL', 'EXDEV', 'ENOSYS', 'EPERM')) throw error
      this.#way = 'plain'
    }
    // After "the end" too: some filesystems of the kernel's own say so at once, though there is something to read.
    const buffer = this.#bufferOf()
    for (;;) {
      const length = readSync(source, buffer, 0, buffer.length, null)
      if (length === 0) return
      writeAll(target, buffer, length)
      this.#check()
    }
  }

  /** Only the data between the holes. */
  #copySparse(source: number, target: number, size: number): void {
    const buffer = this.#bufferOf()
    ftruncateSync(target, size)
    for (let at = lseekData(source, 0); at !== undefined && at < size; at = lseekData(source, at)) {
      const end = Math.min(lseekHole(source, at) ?? size, size)
      while (at < end) {
        const length = readSync(source, buffer, 0, Math.min(buffer.length, end - at), at)
        if (length === 0) return
        writeData(target, buffer.subarray(0, length), at)
        at += length
        this.#check()
      }
    }
  }

  #bufferOf(): Buffer {
    this.#buffer ??= Buffer.allocUnsafeSlow(bufferSize)
    return this.#buffer
  }
}

/** Leaves out blocks of zeros: not every filesystem tells where holes are. */
function writeData(target: number, data: Buffer, position: number): void {
  for (let at = 0; at < data.length; at += holeSize) {
    const block = data.subarray(at, at + holeSize)
    if (block.compare(zeros, 0, block.length) !== 0) writeAll(target, block, block.length, position + at)
  }
}

/** @param position where to write; at the file's own position when absent */
function writeAll(fd: number, buffer: Buffer, length: number, position?: number): void {
  for (let written = 0; written < length;) {
    const at = position === undefined ? null : position + written
    written += writeSync(fd, buffer, written, length - written, at)
  }
}
