/** Whether a place is on an NTFS filesystem that keeps what Windows layers have, found by trying. */
import { mkdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import {
  FILESYSTEM_MAGIC,
  filesystemName,
  findCommand,
  isSystemError,
  statfs,
  tryAt,
  type Unwritable,
} from '@graphdriver/sys'
import { attributesOf, setAttributes, streamsOf } from './attributes.ts'

export interface NtfsHost {
  readonly supported: true
}

export interface NtfsRefusal {
  readonly supported: false
  readonly code: 'not-ntfs' | 'no-streams' | 'no-owners'
  readonly reason: string
  readonly hint: string
}

const mountOptions = 'permissions,streams_interface=windows,noatime'

function howTo(): string {
  const install =
    findCommand('ntfs-3g') === undefined ? 'install ntfs-3g (Debian package ntfs-3g), then ' : ''
  return (
    `${install}put the data root on one: truncate -s 64G layers.img; mkntfs -F -Q layers.img; ` +
    `ntfs-3g -o ${mountOptions} layers.img <data root>`
  )
}

/** Tries `directory`, which exists. Leaves nothing behind. */
export function examineHost(directory: string): NtfsHost | NtfsRefusal | Unwritable {
  const other = refuseOther(directory)
  if (other !== undefined) return other
  return tryAt(directory, tryFeatures)
}

/** For who changes nothing: nothing is tried. */
export function examineToRead(home: string): NtfsHost | NtfsRefusal {
  return refuseOther(home) ?? { supported: true }
}

function refuseOther(directory: string): NtfsRefusal | undefined {
  const { type } = statfs(directory)
  if (type === FILESYSTEM_MAGIC.fuse && hasAttributes(directory)) return undefined
  const where = type === FILESYSTEM_MAGIC.fuse ? 'a FUSE filesystem' : filesystemName(type)
  const reason = `${directory} is on ${where}, not on an NTFS that ntfs-3g serves`
  return { supported: false, code: 'not-ntfs', reason, hint: howTo() }
}

function hasAttributes(directory: string): boolean {
  try {
    attributesOf(Buffer.from(directory))
    return true
  } catch (error) {
    if (isSystemError(error)) return false
    throw error
  }
}

function tryFeatures(scratch: string): NtfsHost | NtfsRefusal {
  const file = path.join(scratch, 'file')
  writeFileSync(file, '', { mode: 0o600 })
  writeFileSync(`${file}:stream`, 'x')
  if (!streamsOf(Buffer.from(file)).includes('stream'))
    return refusal('no-streams', 'files have no further streams', 'streams_interface=windows')
  setAttributes(Buffer.from(file), 0x6)
  const directory = path.join(scratch, 'directory')
  mkdirSync(directory, { mode: 0o751 })
  return keepsModes(directory)
    ? { supported: true }
    : refusal('no-owners', 'files have no owners and modes', 'permissions')
}

function keepsModes(directory: string): boolean {
  return (statSync(directory).mode & 0o777) === 0o751
}

function refusal(code: NtfsRefusal['code'], what: string, option: string): NtfsRefusal {
  const hint = `mount it with ntfs-3g -o ${mountOptions}`
  return { supported: false, code, reason: `on this NTFS ${what}: it is mounted without ${option}`, hint }
}
