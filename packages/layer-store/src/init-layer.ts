import { closeSync } from 'node:fs'
import {
  AT_EMPTY_PATH,
  fchmod,
  fchownat,
  isSystemError,
  mkdirat,
  O,
  openat,
  AT_FDCWD,
  symlinkat,
  unlinkat,
} from '@graphdriver/sys'

type Entry = { readonly path: string } & (
  | { readonly kind: 'directory' | 'file' }
  | { readonly kind: 'symlink'; readonly target: string }
)

/** What Docker puts between image and container, so that the runtime has something to mount over. */
const entries: readonly Entry[] = [
  { path: 'dev/pts', kind: 'directory' },
  { path: 'dev/shm', kind: 'directory' },
  { path: 'proc', kind: 'directory' },
  { path: 'sys', kind: 'directory' },
  { path: '.dockerenv', kind: 'file' },
  { path: 'etc/resolv.conf', kind: 'file' },
  { path: 'etc/hosts', kind: 'file' },
  { path: 'etc/hostname', kind: 'file' },
  { path: 'dev/console', kind: 'file' },
  { path: 'etc/mtab', kind: 'symlink', target: '/proc/mounts' },
]

const mode = 0o755
const openDirectory = O.PATH | O.DIRECTORY | O.NOFOLLOW

/** A descriptor that closes itself. */
class Descriptor implements Disposable {
  readonly number: number

  constructor(number: number) {
    this.number = number
  }

  [Symbol.dispose](): void {
    closeSync(this.number)
  }
}

/**
 * The init hook that Docker gives every container: mount points, and empty files for the runtime to bind over.
 *
 * What the image has in their places goes, unless it is a directory: files, and symlinks too, on the way as at the
 * end. Each step opens one name below the one before without following links, so an image cannot lead it out of
 * `root`.
 */
export async function dockerInitLayer(root: string): Promise<void> {
  using top = new Descriptor(openat(AT_FDCWD, root, O.PATH | O.DIRECTORY))
  for (const entry of entries) make(top.number, entry.path.split('/'), entry)
}

function make(directory: number, names: readonly string[], entry: Entry): void {
  const [name, ...rest] = names
  if (name === undefined) return
  removeFile(directory, name)
  if (rest.length > 0 || entry.kind === 'directory') {
    using below = directoryBelow(directory, name)
    make(below.number, rest, entry)
  } else if (entry.kind === 'symlink') {
    unlessThere(() => symlinkat(entry.target, directory, name))
  } else {
    unlessThere(() => {
      using file = new Descriptor(openat(directory, name, O.WRONLY | O.CREAT | O.EXCL | O.NOFOLLOW, mode))
      own(file.number)
    })
  }
}

/** Docker takes away whatever unlink(2) can take away and goes on where it cannot. */
function removeFile(directory: number, name: string): void {
  try {
    unlinkat(directory, name)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'EISDIR', 'EPERM')) throw error
  }
}

function directoryBelow(directory: number, name: string): Descriptor {
  const made = unlessThere(() => mkdirat(directory, name, mode))
  const below = new Descriptor(
    openat(directory, name, made ? O.RDONLY | O.DIRECTORY | O.NOFOLLOW : openDirectory),
  )
  if (made) own(below.number)
  return below
}

/** Mode and owner as intended, whatever the umask and the parent's setgid bit made of them. */
function own(fd: number): void {
  fchownat(fd, '', process.geteuid?.() ?? 0, process.getegid?.() ?? 0, AT_EMPTY_PATH)
  fchmod(fd, mode)
}

/** @returns false when the name is taken */
function unlessThere(create: () => void): boolean {
  try {
    create()
    return true
  } catch (error) {
    if (isSystemError(error, 'EEXIST')) return false
    throw error
  }
}
