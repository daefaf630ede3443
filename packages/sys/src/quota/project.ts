/**
 * Projects: numbers that files carry, by which a filesystem counts and limits what belongs together (xfs, ext4, f2fs).
 * A directory hands its own down to what is made in it.
 *
 * @see ioctl_xfs_fsgetxattr(2)
 */
import { ioctl } from '../file.ts'

const FS_IOC_FSGETXATTR = 0x801c581f
const FS_IOC_FSSETXATTR = 0x401c5820
/** struct fsxattr of linux/fs.h. */
const layout = { length: 28, flags: 0, project: 12 } as const
/** FS_XFLAG_PROJINHERIT. */
const inherit = 0x200

export interface ProjectAttributes {
  /** 0 for what belongs to no project. */
  readonly id: number
  /** Whether what is made in this directory belongs to its project. */
  readonly inherits: boolean
}

/** @throws SystemError ENOTTY or EOPNOTSUPP where the filesystem knows no projects */
export function projectOf(fd: number): ProjectAttributes {
  const attributes = read(fd)
  return {
    id: attributes.readUInt32LE(layout.project),
    inherits: (attributes.readUInt32LE(layout.flags) & inherit) !== 0,
  }
}

/**
 * Gives a directory, which is empty, a project to hand down.
 *
 * @throws SystemError EOPNOTSUPP, EINVAL where the filesystem knows no projects; EPERM, EINVAL in a user namespace
 */
export function setProject(fd: number, id: number): void {
  const attributes = read(fd)
  attributes.writeUInt32LE(attributes.readUInt32LE(layout.flags) | inherit, layout.flags)
  attributes.writeUInt32LE(id, layout.project)
  ioctl(fd, FS_IOC_FSSETXATTR, attributes)
}

function read(fd: number): Buffer {
  const attributes = Buffer.alloc(layout.length)
  ioctl(fd, FS_IOC_FSGETXATTR, attributes)
  return attributes
}
