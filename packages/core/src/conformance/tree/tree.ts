/**
 * What lstat(2) and getfattr(1) say of every file of a tree: the independent witness for what our own code wrote.
 *
 * Names in a layer may be any bytes, so paths are kept one character per byte (latin1), which sorts as bytes too.
 */
import { type BigIntStats, type Dirent, lstatSync, readdirSync, readlinkSync } from 'node:fs'
import { readXattrs, type Xattrs, type XattrTree } from './xattr.ts'

export type FileType =
  | 'directory'
  | 'file'
  | 'symlink'
  | 'character device'
  | 'block device'
  | 'fifo'
  | 'socket'

export interface TreeFile {
  readonly type: FileType
  /** The low twelve bits. */
  readonly mode: number
  readonly owner: string
  readonly mtimeNs: bigint
  readonly size: bigint
  /** `major:minor` of a device. */
  readonly device: string | undefined
  /** Where a symbolic link points, one character per byte. */
  readonly target: string | undefined
  readonly xattrs: Xattrs
  /** The first name, in byte order, of the same inode within the tree. */
  readonly firstName: string
}

/** By path relative to the root (`''`), in byte order. */
export type Tree = ReadonlyMap<string, TreeFile>

/** A name one character per byte, as a path that Node takes literally. */
export function bytePath(root: string, name: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name, 'latin1')])
}

function* namesBelow(root: string, directory: string): Generator<string> {
  const entries: readonly Dirent<Buffer>[] = readdirSync(bytePath(root, directory), {
    encoding: 'buffer',
    withFileTypes: true,
  })
  for (const entry of entries) {
    const name = (directory === '' ? '' : `${directory}/`) + entry.name.toString('latin1')
    yield name
    if (entry.isDirectory()) yield* namesBelow(root, name)
  }
}

function typeOf(stats: BigIntStats): FileType {
  if (stats.isDirectory()) return 'directory'
  if (stats.isSymbolicLink()) return 'symlink'
  if (stats.isCharacterDevice()) return 'character device'
  if (stats.isBlockDevice()) return 'block device'
  if (stats.isFIFO()) return 'fifo'
  if (stats.isSocket()) return 'socket'
  return 'file'
}

/** makedev(3) as glibc and the kernel encode it: 12 bits of major, 20 of minor, interleaved. */
function deviceOf(rdev: bigint): string {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n)
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n)
  return `${major}:${minor}`
}

/** Reads a tree without following links. The walk is synchronous: nothing else may change it meanwhile. */
export async function readTree(root: string): Promise<Tree> {
  const [xattrs] = await readXattrs(root)
  return walkTree(root, xattrs)
}

/** The same without starting a program for the extended attributes. */
export function walkTree(root: string, xattrs: XattrTree = new Map()): Tree {
  const names = ['', ...namesBelow(root, '')].toSorted((a, b) => (a < b ? -1 : 1))
  const firstNames = new Map<string, string>()
  return new Map(
    names.map((name) => {
      const path = bytePath(root, name)
      const stats = lstatSync(path, { bigint: true })
      const type = typeOf(stats)
      const inode = `${stats.dev}:${stats.ino}`
      const firstName = firstNames.get(inode) ?? name
      firstNames.set(inode, firstName)
      const file: TreeFile = {
        type,
        firstName,
        mode: Number(stats.mode & 0o7777n),
        owner: `${stats.uid}:${stats.gid}`,
        mtimeNs: stats.mtimeNs,
        size: stats.size,
        device: type.endsWith('device') ? deviceOf(stats.rdev) : undefined,
        target: type === 'symlink' ? readlinkSync(path, 'buffer').toString('latin1') : undefined,
        xattrs: xattrs.get(name) ?? {},
      }
      return [name, file]
    }),
  )
}
