import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, statx } from '@graphdriver/sys'

/** Everything that a program can see of a tree, but for directories' sizes and inode numbers. */
export function describeTree(root: string, below = ''): string[] {
  const lines: string[] = []
  for (const name of readdirSync(path.join(root, below)).toSorted()) {
    const inside = path.join(below, name)
    const file = path.join(root, inside)
    const stat = statx(AT_FDCWD, file, AT_SYMLINK_NOFOLLOW)
    const kind = lstatSync(file)
    // What is made in passing has the time of its making.
    const time = stat.mtimeSec > 1_700_000_000 ? 'now' : `${stat.mtimeSec}.${stat.mtimeNsec}`
    const what = kind.isSymbolicLink() ? readlinkSync(file) : kind.isFile() ? readFileSync(file, 'utf8') : ''
    const links = kind.isDirectory() ? '-' : stat.nlink
    const device = `${stat.rdevMajor}:${stat.rdevMinor}`
    lines.push([inside, stat.mode.toString(8), stat.uid, stat.gid, time, links, device, what].join(' '))
    if (kind.isDirectory()) lines.push(...describeTree(root, inside))
  }
  return lines
}
