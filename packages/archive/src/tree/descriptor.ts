import { closeSync } from 'node:fs'
import { AT_FDCWD, O, openat, type Path } from '@graphdriver/sys'

/** A file descriptor that is closed when its scope ends. */
export class Descriptor implements Disposable {
  readonly fd: number

  constructor(fd: number) {
    this.fd = fd
  }

  static ofDirectory(path: Path): Descriptor {
    return new Descriptor(openat(AT_FDCWD, path, O.RDONLY | O.DIRECTORY))
  }

  [Symbol.dispose](): void {
    closeSync(this.fd)
  }
}
