import { closeSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs'
import type { ExtraAttributes } from '@graphdriver/archive/trees'
import { AT_FDCWD, AT_SYMLINK_NOFOLLOW, utimensat } from '@graphdriver/sys'
import { fileAttribute } from '@graphdriver/windows-layer'
import {
  attributesOf,
  creationTime,
  extendedAttributesOf,
  type FileTimes,
  reparsePointOf,
  securityOf,
  setAttributes,
  setExtendedAttributes,
  setReparsePoint,
  setSecurity,
  setShortName,
  setTimes,
  shortNameOf,
  streamPath,
  streamsOf,
  timesOf,
} from './attributes.ts'

const buffers = [0, 1].map(() => Buffer.allocUnsafeSlow(256 * 1024)) as [Buffer, Buffer]

/**
 * What a copy on NTFS has to have beside what POSIX copies, and what makes two files differ. Only of Windows layers it
 * counts when a file was made; after such a copy `forgetInodes` must be called.
 */
export function ntfsAttributes(layer: 'windows' | 'posix'): ExtraAttributes {
  const settleTimes = layer === 'windows' ? setTimes : setPosixTimes
  const copy: ExtraAttributes['copy'] = (source, target, stat) => {
    copyHidden(source, target)
    settleTimes(target, timesOf(source, stat))
  }
  return {
    copy,
    create(source, target, stat) {
      const attributes = attributesOf(source)
      if ((attributes & fileAttribute.reparsePoint) === 0) return false
      const point = reparsePointOf(source)
      if (point === undefined) return false
      makePlain(target, (attributes & fileAttribute.directory) !== 0)
      setReparsePoint(target, point)
      copy(source, target, stat)
      return true
    },
    differ: layer === 'windows' ? differ : () => false,
  }
}

function copyHidden(source: Buffer, target: Buffer): void {
  const attributes = attributesOf(source)
  // What is read through a reparse point is not the file's own.
  if ((attributes & fileAttribute.reparsePoint) === 0)
    for (const name of streamsOf(source)) copyStream(streamPath(source, name), streamPath(target, name))
  const list = extendedAttributesOf(source)
  if (list !== undefined) setExtendedAttributes(target, list)
  const short = shortNameOf(source)
  if (short !== undefined && short.length > 0) setShortName(target, short)
  const security = securityOf(source)
  if (security !== undefined) setSecurity(target, security)
  setAttributes(target, attributes)
}

function setPosixTimes(path: Buffer, { accessed, written }: FileTimes): void {
  utimensat(AT_FDCWD, path, accessed, written, AT_SYMLINK_NOFOLLOW)
}

function differ(ours: Buffer, theirs: Buffer): boolean {
  return (
    attributesOf(ours) !== attributesOf(theirs) ||
    !sameBytes(securityOf(ours), securityOf(theirs)) ||
    creationTime(ours) !== creationTime(theirs) ||
    !sameBytes(reparsePointOf(ours), reparsePointOf(theirs)) ||
    !sameBytes(extendedAttributesOf(ours), extendedAttributesOf(theirs)) ||
    !sameStreams(ours, theirs)
  )
}

/** Makes what a reparse point can be put on. */
export function makePlain(path: Buffer, isDirectory: boolean): void {
  if (isDirectory) mkdirSync(path, 0o700)
  else closeSync(openSync(path, 'wx', 0o600))
}

function sameBytes(ours: Buffer | undefined, theirs: Buffer | undefined): boolean {
  return ours === undefined || theirs === undefined ? ours === theirs : ours.equals(theirs)
}

/** Streams have no time of their own that would tell. */
function sameStreams(ours: Buffer, theirs: Buffer): boolean {
  const [names, others] = [streamsOf(ours), streamsOf(theirs)]
  return (
    names.length === others.length &&
    names.every(
      (name, index) =>
        name === others[index] && sameContent(streamPath(ours, name), streamPath(theirs, name)),
    )
  )
}

function sameContent(ours: Buffer, theirs: Buffer): boolean {
  using a = opened(ours, 'r')
  using b = opened(theirs, 'r')
  for (;;) {
    const [left, right] = [readSync(a.fd, buffers[0]), readSync(b.fd, buffers[1])]
    if (left !== right || buffers[0].compare(buffers[1], 0, right, 0, left) !== 0) return false
    if (left === 0) return true
  }
}

function copyStream(source: Buffer, target: Buffer): void {
  using from = opened(source, 'r')
  using to = opened(target, 'w')
  for (;;) {
    const length = readSync(from.fd, buffers[0])
    if (length === 0) return
    for (let at = 0; at < length;) at += writeSync(to.fd, buffers[0], at, length - at)
  }
}

function opened(path: Buffer, flags: string): Disposable & { readonly fd: number } {
  const fd = openSync(path, flags, 0o600)
  return { fd, [Symbol.dispose]: () => closeSync(fd) }
}
