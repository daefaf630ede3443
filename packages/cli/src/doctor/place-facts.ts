/** What the filesystem is good for that the data root is on, or would be: tried in a directory that is deleted again. */
import { closeSync, openSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { examineProjects } from '@graphdriver/quota'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  close,
  ficlone,
  filesystemName,
  type IdRanges,
  lsetxattr,
  MOUNT_ATTR,
  mountSetattr,
  nearestDirectory,
  OPEN_TREE,
  openTree,
  statfs,
  tryAt,
  type Unwritable,
  withUserNamespace,
} from '@graphdriver/sys'
import { namesTypes } from '@graphdriver/sys/overlayfs'
import { formatBytes } from '../quantity.ts'
import { type Fact, no, tried, yes } from './fact.ts'

export async function placeFacts(root: string): Promise<readonly Fact[]> {
  const directory = nearestDirectory(root)
  const examine = (namespace: number | string): readonly Fact[] | Unwritable =>
    tryAt(directory, (scratch) => [
      yes('writable', 'the data root can be written', directory),
      types(scratch),
      reflink(scratch),
      attributes(scratch, 'trusted', 'which the kernel’s overlays of root need'),
      attributes(scratch, 'user', 'which overlays in a user namespace need'),
      idMapping(scratch, namespace),
    ])
  const tried = await withUserNamespace(firstUsers, (fd) => examine(fd)).catch((error: unknown) =>
    examine(error instanceof Error ? error.message : String(error)),
  )
  const facts =
    'supported' in tried ? [no('writable', 'the data root can be written', tried.reason, tried.hint)] : tried
  return [room(directory), inodes(directory), ...facts, quotas(directory)]
}

/** The ids that distributions give to the first user. */
const firstUsers: IdRanges = {
  uids: [{ inside: 0, outside: 100_000, count: 65_536 }],
  gids: [{ inside: 0, outside: 100_000, count: 65_536 }],
}

function room(directory: string): Fact {
  const { type, blocksAvailable, blockSize } = statfs(directory)
  const bytes = Number(blocksAvailable) * blockSize
  const detail = `${filesystemName(type)} with ${formatBytes(bytes)} left`
  const title = 'room for images'
  return bytes > smallest
    ? yes('room', title, detail)
    : no('room', title, detail, 'make room, or choose another data root')
}

/** Less than the image of a small distribution with its layers. */
const smallest = 256 * 1024 * 1024

function inodes(directory: string): Fact {
  const { files, filesFree } = statfs(directory)
  const title = 'inodes for the files of images'
  if (files === 0n) return yes('inodes', title, 'made as needed')
  const detail = `${filesFree} of ${files} left`
  return filesFree > 50_000n
    ? yes('inodes', title, detail)
    : no('inodes', title, detail, 'delete files, or make the filesystem anew with more inodes')
}

function types(scratch: string): Fact {
  const [id, title] = ['d-type', 'directories tell what their entries are (d_type)']
  return namesTypes(scratch)
    ? yes(id, title)
    : no(id, title, 'they do not', 'xfs: make it with ftype=1; ext4: with the feature filetype')
}

function reflink(scratch: string): Fact {
  const from = path.join(scratch, 'from')
  writeFileSync(from, 'content')
  const source = openSync(from, 'r')
  const target = openSync(path.join(scratch, 'to'), 'wx')
  try {
    return tried(
      'reflink',
      'files can share their content (reflink)',
      () => ficlone(target, source),
      'put the data root on xfs or btrfs, where vfs then shares what it copies',
    )
  } finally {
    closeSync(source)
    closeSync(target)
  }
}

function attributes(scratch: string, space: 'trusted' | 'user', who: string): Fact {
  const file = path.join(scratch, `with-${space}`)
  writeFileSync(file, '')
  return tried(
    `xattrs-${space}`,
    `extended attributes ${space}.*, ${who}`,
    () => lsetxattr(file, `${space}.graphdriver`, Buffer.from('y')),
    space === 'trusted' ? 'run as root, on another filesystem' : 'use another filesystem',
  )
}

/** By a copy of a mount that is attached nowhere. */
function idMapping(scratch: string, namespace: number | string): Fact {
  const [id, title] = [
    'idmapped-mounts',
    'mounts with other owners (idmapped), so that no image is copied for them',
  ]
  if (typeof namespace === 'string') return no(id, title, namespace, 'run as root, with util-linux installed')
  const map = (): void => {
    const tree = openTree(AT_FDCWD, scratch, OPEN_TREE.CLONE)
    try {
      mountSetattr(tree, '', AT_EMPTY_PATH, { set: MOUNT_ATTR.IDMAP, userNamespace: namespace })
    } finally {
      close(tree)
    }
  }
  return tried(id, title, map, 'use Linux 5.12 or later, and ext4, xfs or btrfs')
}

function quotas(directory: string): Fact {
  const [id, title] = ['project-quotas', 'the filesystem can limit single layers (project quotas)']
  const lacking = examineProjects(directory, false)
  return lacking === undefined ? yes(id, title) : no(id, title, lacking.reason, lacking.hint)
}
