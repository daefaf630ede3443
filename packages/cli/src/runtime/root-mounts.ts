import { closeSync, fstatSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import {
  AT_FDCWD,
  isSystemError,
  mount,
  MOUNT_ATTR,
  mountSetattr,
  MS,
  O,
  openat,
  openat2,
  RESOLVE,
} from '@graphdriver/sys'
import type { RuntimeMount } from '@graphdriver/image'

const flagOf: Readonly<Record<string, number>> = {
  ro: MS.RDONLY,
  nosuid: MS.NOSUID,
  nodev: MS.NODEV,
  noexec: MS.NOEXEC,
  strictatime: MS.STRICTATIME,
  relatime: 0,
  bind: MS.BIND,
  rbind: MS.BIND | MS.REC,
}

const devices = ['null', 'zero', 'full', 'random', 'urandom', 'tty']

/**
 * Mounts beneath a root filesystem that may have any symlinks: each target is looked up as if the root were `/`, and
 * mounted on by its descriptor, so that nothing outside is ever a target.
 */
export class RootMounts implements Disposable {
  readonly #root: number

  /** In a mount namespace of our own. */
  constructor(root: string) {
    // A mount of its own, or there would be nothing to make read-only.
    mount({ source: root, target: root, flags: MS.BIND | MS.REC })
    this.#root = openat(AT_FDCWD, root, O.PATH | O.DIRECTORY)
  }

  mount({ destination, type, source, options }: RuntimeMount): void {
    // No cgroup is made for this container, and the host's are not its business.
    if (type === 'cgroup') return
    if (destination.startsWith('/dev/'))
      this.#at('/dev', (dev) => makeDirectory(`${dev}${destination.slice(4)}`))
    this.#at(destination, (target) => {
      const flags = options.reduce((sum, option) => sum | (flagOf[option] ?? 0), 0)
      const data = options.filter((option) => flagOf[option] === undefined).join(',')
      if ((flags & MS.BIND) !== 0) return bind(source, target, flags)
      try {
        mount({ source, target, type, flags, data })
      } catch (error) {
        // A user namespace inside a container may see no more of these than the container does.
        if (!isSystemError(error, 'EPERM', 'EBUSY', 'ENODEV', 'EINVAL')) throw error
        if (type === 'proc') bind('/proc', target, MS.BIND | MS.REC)
      }
    })
  }

  /** The host's own, since making nodes is a privilege. */
  addDevices(): void {
    this.#at('/dev', (dev) => {
      for (const name of devices) {
        unlessThere(() => writeFileSync(`${dev}/${name}`, '', { flag: 'wx' }))
        mount({ source: `/dev/${name}`, target: `${dev}/${name}`, flags: MS.BIND })
      }
      const links = {
        fd: '/proc/self/fd',
        stdin: '/proc/self/fd/0',
        stdout: '/proc/self/fd/1',
        stderr: '/proc/self/fd/2',
      }
      for (const [name, target] of Object.entries(links))
        unlessThere(() => symlinkSync(target, `${dev}/${name}`))
      unlessThere(() => symlinkSync('pts/ptmx', `${dev}/ptmx`))
    })
  }

  makeReadonly(path: string): void {
    if (path !== '/') this.#at(path, (target) => mount({ source: target, target, flags: MS.BIND | MS.REC }))
    // Looked up anew: this finds what is mounted there now.
    this.#at(path, (_, fd) => mountSetattr(fd, '', 0, { set: MOUNT_ATTR.RDONLY }))
  }

  mask(path: string): void {
    this.#at(path, (target, fd) => {
      if (fstatSync(fd).isDirectory()) mount({ source: 'tmpfs', target, type: 'tmpfs', flags: MS.RDONLY })
      else mount({ source: '/dev/null', target, flags: MS.BIND })
    })
  }

  [Symbol.dispose](): void {
    closeSync(this.#root)
  }

  /** Does nothing where the path is not there. */
  #at(path: string, action: (target: string, fd: number) => void): void {
    let fd: number
    try {
      fd = openat2(this.#root, path, { flags: O.PATH, resolve: RESOLVE.IN_ROOT })
    } catch (error) {
      if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return
      throw error
    }
    try {
      action(`/proc/self/fd/${fd}`, fd)
    } finally {
      closeSync(fd)
    }
  }
}

function bind(source: string, target: string, flags: number): void {
  mount({ source, target, flags: flags & (MS.BIND | MS.REC) })
}

function makeDirectory(directory: string): void {
  unlessThere(() => mkdirSync(directory, { mode: 0o755 }))
}

function unlessThere(make: () => void): void {
  try {
    make()
  } catch (error) {
    if (!isSystemError(error, 'EEXIST', 'EROFS')) throw error
  }
}
