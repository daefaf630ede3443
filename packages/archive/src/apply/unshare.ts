/** Takes a file out of the hands of other layers, whose hard links it is. */
import { closeSync } from 'node:fs'
import { linkat, O, openat, type Path, renameat2, S, statx, AT_EMPTY_PATH, unlinkat } from '@graphdriver/sys'
import { ContentCopier } from '../tree/copy-content.ts'
import { copyAttributes } from '../tree/copy-attributes.ts'
import { Descriptor } from '../tree/descriptor.ts'
import { xattrPath } from '../tree/portable-xattrs.ts'
import { walkTree } from '../tree/walk.ts'

/** No name of a layer's begins so; the walk below passes over what is not there any more. */
const fresh = Buffer.from('.graphdriver-unshared')

/**
 * Replaces a regular file by a copy, under every name that it has in the tree; names elsewhere keep the file. What is no
 * regular file is left: it has no content, and a program sees no more of it than its times and owner.
 */
export function unshare(root: Path, parent: number, name: Buffer): void {
  const original = openat(parent, name, O.PATH | O.NOFOLLOW)
  try {
    const stat = statx(original, '', AT_EMPTY_PATH)
    if ((stat.mode & S.IFMT) !== S.IFREG) return
    using from = new Descriptor(openat(parent, name, O.RDONLY | O.NOFOLLOW | O.NONBLOCK))
    {
      using to = new Descriptor(openat(parent, fresh, O.WRONLY | O.CREAT | O.EXCL, 0o600))
      new ContentCopier(() => undefined).copy(from.fd, to.fd, stat)
      copyAttributes(to.fd, xattrPath(parent, name), stat, undefined)
    }
    renameat2(parent, fresh, parent, name)
    walkTree(
      root,
      {
        visit: ({ directory, name: other, stat: found }) => {
          if (found.ino !== stat.ino || found.dev !== stat.dev) return true
          unlinkat(directory, other)
          linkat(parent, name, directory, other)
          return false
        },
      },
      () => undefined,
    )
  } finally {
    closeSync(original)
  }
}
