/** `/etc/passwd` and `/etc/group` of a root filesystem, which may hold anything: lines that do not parse are passed over. */
import { constants, fstatSync, readSync } from 'node:fs'
import { AT_FDCWD, close, isSystemError, O, openat, openat2, RESOLVE } from '@graphdriver/sys'

export interface PasswdEntry {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
}

export interface GroupEntry {
  readonly name: string
  readonly gid: number
  readonly members: readonly string[]
}

/** More accounts than this has no image; the bound is for hostile ones. */
const maxDatabaseBytes = 4 * 1024 * 1024

export function readPasswd(rootfs: string): readonly PasswdEntry[] {
  return lines(readInRoot(rootfs, 'etc/passwd')).flatMap(([name = '', , uid, gid, , home]) => {
    const ids = { uid: parseId(uid ?? ''), gid: parseId(gid ?? '') }
    if (name === '' || ids.uid === undefined || ids.gid === undefined) return []
    return [{ name, uid: ids.uid, gid: ids.gid, home: home ?? '' }]
  })
}

export function readGroup(rootfs: string): readonly GroupEntry[] {
  return lines(readInRoot(rootfs, 'etc/group')).flatMap(([name = '', , gid, members = '']) => {
    const id = parseId(gid ?? '')
    if (name === '' || id === undefined) return []
    return [{ name, gid: id, members: members.split(',').filter((member) => member !== '') }]
  })
}

/** A decimal uid or gid; the largest number is what the kernel keeps for "none". */
export function parseId(text: string): number | undefined {
  const id = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  return id < 0xffff_ffff ? id : undefined
}

function lines(text: string): readonly (readonly string[])[] {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => line.split(':'))
}

/** The content of a file, empty when there is none. Links are followed as a process inside would follow them. */
function readInRoot(rootfs: string, name: string): string {
  const root = openat(AT_FDCWD, rootfs, O.PATH | O.DIRECTORY)
  try {
    const file = openat2(root, name, {
      flags: O.RDONLY | constants.O_NONBLOCK,
      resolve: RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS,
    })
    try {
      return fstatSync(file).isFile() ? readBounded(file) : ''
    } finally {
      close(file)
    }
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'ENXIO')) return ''
    throw error
  } finally {
    close(root)
  }
}

function readBounded(file: number): string {
  const buffer = Buffer.alloc(maxDatabaseBytes)
  let length = 0
  for (let read = -1; read !== 0 && length < buffer.length; length += read) {
    read = readSync(file, buffer, length, buffer.length - length, null)
  }
  return buffer.toString('utf8', 0, length)
}
