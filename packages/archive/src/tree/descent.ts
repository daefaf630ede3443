import { closeSync } from 'node:fs'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  O,
  openat,
  openat2,
  type Path,
  RESOLVE,
  type Stat,
  statx,
} from '@graphdriver/sys'

interface Level {
  /** `undefined` while closed to save descriptors. */
  fd: number | undefined
  /** Known of a level that was closed, to recognise it again. */
  stat: Stat | undefined
}

const flags = O.RDONLY | O.DIRECTORY | O.NOFOLLOW
/** A walk holds this many descriptors at most, however deep the tree. */
const keptOpen = 64

/**
 * The open directories from a tree's root down to where a walk is. Every step is one openat(2) of one name that
 * does not follow a link, so that nothing renamed or linked meanwhile can lead outside.
 *
 * Ancestors far above are closed, and opened again as `..` of their child on the way back; that they are the same
 * directory is verified.
 */
export class Descent implements Disposable {
  readonly #levels: Level[] = []
  readonly #resolve: number

  /** @param mounts whether to go into what is mounted inside; refused, it is EXDEV, and needs Linux 5.6 */
  constructor(root: Path, mounts: 'enter' | 'refuse' = 'enter') {
    this.#resolve = mounts === 'refuse' ? RESOLVE.NO_XDEV | RESOLVE.NO_MAGICLINKS : 0
    this.#levels.push({ fd: openat(AT_FDCWD, root, O.RDONLY | O.DIRECTORY), stat: undefined })
  }

  /** Descriptor of the directory the walk is in. Valid until the next step. */
  get fd(): number {
    const fd = this.#levels.at(-1)?.fd
    if (fd === undefined) throw new Error('descent: used after it was closed')
    return fd
  }

  enter(name: Buffer): void {
    const fd =
      this.#resolve === 0
        ? openat(this.fd, name, flags)
        : openat2(this.fd, name, { flags, resolve: this.#resolve })
    this.#levels.push({ fd, stat: undefined })
    const far = this.#levels[this.#levels.length - 1 - keptOpen]
    if (far?.fd === undefined) return
    far.stat = statx(far.fd, '', AT_EMPTY_PATH)
    closeSync(far.fd)
    far.fd = undefined
  }

  /** @throws Error when the directory was moved elsewhere while the walk was in it */
  leave(): void {
    const left = this.#levels.pop()
    const parent = this.#levels.at(-1)
    if (left?.fd === undefined) throw new Error('descent: left more often than entered')
    try {
      if (parent?.stat !== undefined && parent.fd === undefined) parent.fd = reopen(left.fd, parent.stat)
    } finally {
      closeSync(left.fd)
    }
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#levels.splice(0)) if (fd !== undefined) closeSync(fd)
  }
}

function reopen(child: number, expected: Stat): number {
  const fd = openat(child, '..', flags)
  const found = statx(fd, '', AT_EMPTY_PATH)
  if (found.ino === expected.ino && found.dev === expected.dev) return fd
  closeSync(fd)
  throw new Error('a directory was moved while the tree was walked; stop what writes to it, then try again')
}
