/**
 * What a layer changed, found in its upper directory: what is in there was written, copied up or deleted, and only
 * that has to be compared with the layers below. A container that changed ten files costs ten look-ups, whatever the
 * size of its image.
 *
 * The layers below are looked at through a mount of the parent, so the kernel itself resolves their whiteouts. The
 * walk is on the caller's thread, in slices of a few milliseconds.
 */
import { closeSync, readdirSync } from 'node:fs'
import { constants } from 'node:os'
import { setImmediate as breathe } from 'node:timers/promises'
import type { Change } from '@graphdriver/core'
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  isSystemError,
  lgetxattr,
  lstatx,
  O,
  openat,
  statx,
  SystemError,
} from '@graphdriver/sys'
import { differs, type Entry, isDirectory } from './entry-difference.ts'
import { aufsName } from '../aufs/names.ts'
import type { LayerFormat } from '../apply/options.ts'
import { isOverlayWhiteout } from '../tree/overlay-whiteout.ts'
import { pathText } from '../tree/path-text.ts'

/** A change whose path is bytes, without a leading slash: they are sorted by bytes. */
interface UpperChange {
  readonly path: Buffer
  readonly kind: Change['kind']
}

/** A directory of the layer. */
interface Frame {
  /** From the root, without a leading slash. */
  readonly path: Buffer
  /** The parent has a directory of this path. */
  readonly inBase: boolean
  /** It hides what the parent has in it. */
  opaque: boolean
  readonly above: Frame | undefined
  /** The directory itself is in the list. */
  recorded: boolean
}

const slash = Buffer.from('/')
const sliceMilliseconds = 5

export interface UpperComparison {
  /** The layer's upper directory. */
  readonly upper: string
  /** Where the parent is visible, and whether that is a mount of it. */
  readonly base: string
  readonly mounted: boolean
  readonly whiteouts: LayerFormat
  readonly signal?: AbortSignal | undefined
}

/**
 * Sorted by the bytes of the paths; a directory in which something changed is listed as modified.
 *
 * @throws SystemError ENOENT when the parent is not mounted any more
 */
export async function upperChanges(comparison: UpperComparison): Promise<readonly Change[]> {
  const { upper, base, mounted, whiteouts, signal } = comparison
  // Another process may unmount the parent meanwhile. An open directory keeps it; paths would lead to an empty one,
  // and every file would look new.
  const held = openat(AT_FDCWD, base, O.PATH | O.DIRECTORY)
  try {
    if (mounted && statx(held, '', AT_EMPTY_PATH).mountRoot === false) {
      throw new SystemError(constants.errno.ENOENT, {
        syscall: 'openat',
        path: base,
        note: 'no longer mounted',
      })
    }
    const walk = new UpperWalk(Buffer.from(upper), Buffer.from(`/proc/self/fd/${held}`), whiteouts, signal)
    return (await walk.run())
      .toSorted((a, b) => a.path.compare(b.path))
      .map(({ path, kind }) => ({ path: `/${pathText(path)}`, kind }))
  } finally {
    closeSync(held)
  }
}

class UpperWalk {
  readonly #upper: Buffer
  readonly #base: Buffer
  readonly #opaque: string
  readonly #format: LayerFormat['format']
  readonly #signal: AbortSignal | undefined
  readonly #changes: UpperChange[] = []
  #sliceEnd = performance.now() + sliceMilliseconds

  constructor(upper: Buffer, base: Buffer, { format, xattr }: LayerFormat, signal: AbortSignal | undefined) {
    this.#upper = upper
    this.#base = base
    this.#opaque = `${xattr}.overlay.opaque`
    this.#format = format
    this.#signal = signal
  }

  async run(): Promise<readonly UpperChange[]> {
    // The root itself is never listed: a layer does not carry its attributes.
    const root: Frame = {
      path: Buffer.alloc(0),
      inBase: true,
      opaque: false,
      above: undefined,
      recorded: true,
    }
    const pending = [root]
    for (let frame = pending.pop(); frame !== undefined; frame = pending.pop()) {
      const listed = namesIn(join(this.#upper, frame.path))
      const names = this.#format === 'aufs' ? this.#takeMarkers(frame, listed) : listed
      for (const name of names) {
        const child = this.#visit(frame, join(frame.path, name))
        if (child !== undefined) pending.push(child)
        await this.#pause()
      }
      if (frame.inBase && frame.opaque) await this.#recordHidden(frame, names)
    }
    return this.#changes
  }

  /** Reads what AUFS's files say of a directory. @returns the names of what the layer has in it */
  #takeMarkers(frame: Frame, listed: readonly Buffer[]): readonly Buffer[] {
    const meanings = listed.map(aufsName)
    frame.opaque ||= meanings.some(({ kind }) => kind === 'opaque')
    const gone = new Set<string>()
    for (const meaning of meanings) {
      if (meaning.kind !== 'whiteout') continue
      gone.add(meaning.target.toString('latin1'))
      // What an opaque directory lacks is found by what the parent has in it.
      if (!frame.opaque) this.#recordGone(frame, join(frame.path, meaning.target))
    }
    // A file beside its own whiteout is one that nobody sees.
    return listed.filter((name, at) => meanings[at]?.kind === 'plain' && !gone.has(name.toString('latin1')))
  }

  #recordGone(frame: Frame, path: Buffer): void {
    if (frame.inBase && entryAt(join(this.#base, path)) !== undefined) this.#record(frame, path, 'delete')
  }

  /** @returns the frame of a directory that has to be looked into */
  #visit(frame: Frame, path: Buffer): Frame | undefined {
    const ours = entryAt(join(this.#upper, path))
    if (ours === undefined) return undefined
    const theirs = frame.inBase ? entryAt(join(this.#base, path)) : undefined
    if (isOverlayWhiteout(ours.stat)) {
      if (theirs !== undefined) this.#record(frame, path, 'delete')
      return undefined
    }
    const changed = theirs === undefined || differs(ours, theirs)
    if (changed) this.#record(frame, path, theirs === undefined ? 'add' : 'modify')
    if (!isDirectory(ours)) return undefined
    const inBase = theirs !== undefined && isDirectory(theirs)
    // Below an opaque directory the kernel does not look into lower ones at all, marked or not.
    const opaque = frame.opaque || this.#isOpaque(ours)
    return { path, inBase, opaque, above: frame, recorded: changed }
  }

  /** What the parent has in an opaque directory, and the layer has not. */
  async #recordHidden(frame: Frame, own: readonly Buffer[]): Promise<void> {
    const kept = new Set(own.map((name) => name.toString('latin1')))
    for (const name of namesIn(join(this.#base, frame.path))) {
      if (!kept.has(name.toString('latin1'))) this.#record(frame, join(frame.path, name), 'delete')
      await this.#pause()
    }
  }

  /** Lists a change and every directory above that is not listed yet. */
  #record(frame: Frame, path: Buffer, kind: Change['kind']): void {
    for (let above: Frame | undefined = frame; above?.recorded === false; above = above.above) {
      above.recorded = true
      this.#changes.push({ path: above.path, kind: 'modify' })
    }
    this.#changes.push({ path, kind })
  }

  #isOpaque({ path }: Entry): boolean {
    return lgetxattr(path, this.#opaque)?.toString() === 'y'
  }

  async #pause(): Promise<void> {
    if (performance.now() < this.#sliceEnd) return
    await breathe()
    this.#signal?.throwIfAborted()
    this.#sliceEnd = performance.now() + sliceMilliseconds
  }
}

function join(directory: Buffer, name: Buffer): Buffer {
  if (directory.length === 0 || name.length === 0) return directory.length === 0 ? name : directory
  return Buffer.concat([directory, slash, name])
}

/** `undefined` when it is not there, or gone while a container works. */
function entryAt(path: Buffer): Entry | undefined {
  try {
    return { path, stat: lstatx(path) }
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

function namesIn(directory: Buffer): readonly Buffer[] {
  try {
    return readdirSync(directory, { encoding: 'buffer' })
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return []
    throw error
  }
}
