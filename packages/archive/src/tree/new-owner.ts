import { AT_EMPTY_PATH, statx } from '@graphdriver/sys'

/**
 * Whether a file that was just made has the owner already that it shall have: changing it to what it is costs an entry in
 * the filesystem's journal for each file.
 *
 * A file belongs to who makes it, and to his group or, on some filesystems and in directories with the set-group-id bit,
 * to the directory's. So this asks for a directory that is of his group itself, and looks at the first file, because there
 * are filesystems, such as NFS, that give all to somebody else.
 */
export class NewOwner {
  readonly #uid = process.geteuid?.()
  readonly #gid = process.getegid?.()
  #holds: boolean | undefined

  /**
   * @param fd the file, open, and made by this thread
   * @param directoryGroup of the directory that it is in; undefined where that is not known
   */
  has(
    fd: number,
    { uid, gid }: { readonly uid: number; readonly gid: number },
    directoryGroup: number | undefined,
  ): boolean {
    if (uid !== this.#uid || gid !== this.#gid || directoryGroup !== gid) return false
    return (this.#holds ??= this.#isOwned(fd))
  }

  #isOwned(fd: number): boolean {
    const stat = statx(fd, '', AT_EMPTY_PATH)
    return stat.uid === this.#uid && stat.gid === this.#gid
  }
}
