import { closeSync, openSync, writeSync } from 'node:fs'
import { BackupFile, type BasicInfo, longPath } from '@graphdriver/sys/windows'

/** A new file whose bytes are as they are told, and which has times of its own in the end. */
export class PlainFile implements Disposable {
  readonly #path: string
  readonly #info: BasicInfo
  #fd: number | undefined

  constructor(path: string, info: BasicInfo) {
    this.#path = path
    this.#info = info
    this.#fd = openSync(longPath(path), 'wx')
  }

  write(bytes: Uint8Array): void {
    if (this.#fd === undefined) throw new Error(`${this.#path} is closed`)
    for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at)
  }

  [Symbol.dispose](): void {
    if (this.#fd === undefined) return
    closeSync(this.#fd)
    this.#fd = undefined
    using opened = BackupFile.openToWrite(this.#path, 'openExisting')
    opened.setBasicInfo(this.#info)
  }
}
