/**
 * Names in archives are bytes. Here they are strings of one character per byte (latin1), so that they can be cut,
 * compared and used as keys without loss; `pathBytes` turns one into what a system call takes.
 */
import { GraphDriverError } from '@graphdriver/core'
import type { Path } from '@graphdriver/sys'

/** A cleaned path below the root, without leading or trailing slash; empty for the root itself. */
export type EntryPath = string

const needsCleaning = /^\/|\/$|\/\/|(?:^|\/)\.{1,2}(?:\/|$)/

/**
 * The path that a name means below the root, by the words alone: `a/../b` is `b`, `/a` is `a`, `/../a` is `a` as it
 * is in a root directory.
 *
 * @returns undefined for a relative name that climbs out, such as `../a`
 * @throws GD_ARCHIVE_INVALID for a name that no filesystem can hold
 */
export function cleanName(name: Buffer): EntryPath | undefined {
  const text = name.toString('latin1')
  if (text.includes('\0')) {
    throw new GraphDriverError('GD_ARCHIVE_INVALID', `entry '${shownName(name)}' has NUL in its name`, {
      entry: shownName(name),
    })
  }
  if (!needsCleaning.test(text)) return text
  const kept: string[] = []
  for (const part of text.split('/')) {
    if (part === '' || part === '.') continue
    if (part !== '..') kept.push(part)
    else if (kept.pop() === undefined && !text.startsWith('/')) return undefined
  }
  return kept.join('/')
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** Whether a name is UTF-8, and has no colon. */
export function isPlainUnicode(name: Buffer): boolean {
  try {
    return !utf8.decode(name).includes(':')
  } catch {
    return false
  }
}

export function parentOf(path: EntryPath): EntryPath {
  const slash = path.lastIndexOf('/')
  return slash === -1 ? '' : path.slice(0, slash)
}

export function baseOf(path: EntryPath): string {
  return path.slice(path.lastIndexOf('/') + 1)
}

// oxlint-disable-next-line no-control-regex -- the question is whether every byte is ASCII
const ascii = /^[\x00-\x7f]*$/

export function pathBytes(path: string): Path {
  return ascii.test(path) ? path : Buffer.from(path, 'latin1')
}

/** A name for people: what is not UTF-8 is shown as replacement characters. */
export function shownName(name: Buffer): string {
  return name.toString('utf8').replaceAll('\0', '\\0')
}
