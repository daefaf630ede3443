import { availableParallelism } from 'node:os'
import type { CallOptions, Change, TarStream } from '@graphdriver/core'
import { isSystemError, unmountTree } from '@graphdriver/sys'
import type { ApplyOptions, ApplyResult, LayerFormat } from './apply/options.ts'
import type { Shade, ShadeRequest } from './aufs/shade.ts'
import type { Touched } from './tree/touched.ts'
import type { Conversion, JobKind, Jobs } from './worker/job.ts'
import { feed, type Sink } from './feed.ts'
import { gateOf, type SharedGate } from './worker/gate.ts'
import { ThreadPool } from './worker/pool.ts'
import { SideThread } from './worker/side-thread.ts'
import { atOnce, removeTree } from './tree/remove.ts'
import { RingAborted, RingReader, RingWriter } from './worker/ring.ts'

export interface TreeWorkersOptions {
  /**
   * The most threads that work at the same time; further calls wait in line. 4 by default. A stream that is read or
   * written has a thread of its own as long as it is open.
   */
  readonly threads?: number | undefined
  /**
   * What the threads run instead of this package's own file: a module that calls `serveJobs` of
   * `@graphdriver/archive/trees`, for trees that have more than POSIX knows.
   */
  readonly thread?: URL | undefined
}

export interface PackOptions extends CallOptions {
  /** How deletions are recorded in the directory itself; `none` takes every file for what it is. */
  readonly whiteouts?: 'none' | LayerFormat | undefined
  /** The name of something in the directory: it alone, with what is in it. */
  readonly only?: string | undefined
}

export interface RemoveOptions extends CallOptions {
  /**
   * Called when a tree turns out to be large. The rest of it goes on behind the caller, who need not wait for the end: one
   * such tree after another, at half speed, and whatever becomes of the signal.
   */
  readonly onLarge?: (() => void) | undefined
  /** Unmounts what turns out to be mounted in the tree; otherwise it is EBUSY. */
  readonly unmounts?: boolean | undefined
}

/** Where to look; everywhere by default. */
export interface CompareOptions extends CallOptions {
  readonly touched?: Touched | undefined
}

export interface CopyOptions extends CallOptions {
  /** `hardlink` shares regular files instead of copying them. */
  readonly mode?: 'content' | 'hardlink' | undefined
  /** Copies overlayfs's own attributes of this namespace too. */
  readonly overlayXattrs?: 'trusted' | 'user' | undefined
}

/** Entries that are gone before a thread would be awake: a writable layer that little was written to has no more. */
const removedHere = 48

/** Entries that take no longer than a caller may be kept waiting. */
const removedAtOnce = 256

/** Something to be told once that it is to be done quickly now. */
function hurry(): { readonly gate: SharedGate; readonly resolve: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { gate: gateOf(promise, () => undefined), resolve }
}

/**
 * Everything that walks a tree, done by synchronous calls in threads of its own, so that the caller's thread is never
 * kept waiting, and no promise is made per file.
 *
 * Threads start with the first calls, are used again, also by the next `TreeWorkers` of the process, and do not keep
 * it alive. Every call can be aborted:
 * it rejects with the signal's reason when the thread has stopped, and what it was making is incomplete.
 */
export class TreeWorkers implements AsyncDisposable {
  readonly #pool: ThreadPool
  /** Other threads may know of more in a tree than its entries. */
  readonly #removesHere: boolean
  /** Settles with the last of the large removals. */
  #removals: Promise<unknown> = Promise.resolve()
  readonly #hurry = hurry()

  constructor(options: TreeWorkersOptions = {}) {
    // Beside the bundle the thread's file is built; from source, Node runs it as it is.
    const file = import.meta.url.endsWith('.ts') ? './worker/thread.ts' : './worker/thread.js'
    this.#removesHere = options.thread === undefined
    this.#pool = new ThreadPool(options.thread ?? new URL(file, import.meta.url), options.threads ?? 4)
  }

  /**
   * Extracts an uncompressed layer tar into the existing directory `root`, reading `tar` to its end. On failure the
   * tree is left half made, and nothing outside of it has changed.
   *
   * @throws GD_ARCHIVE_INVALID, GD_ARCHIVE_BREAKOUT, GD_ARCHIVE_UNSUPPORTED, what `tar` throws, and host errors such
   *   as `ENOSPC` with the path they are about
   */
  async apply(root: string, tar: TarStream, options: ApplyOptions): Promise<ApplyResult> {
    const { signal, whiteouts, lowers, shared, limits } = options
    const thread = await this.#pool.acquireForStream(signal)
    let isOver = false
    const broken = (reason: unknown): void => (isOver ? undefined : thread.abort(reason))
    const below = options.below === undefined ? undefined : gateOf(options.below, broken)
    // Layers side by side have the processors busy without.
    const side =
      below === undefined && availableParallelism() > 1 ? new SideThread(this.#pool, root) : undefined
    try {
      const input: Jobs['apply']['input'] = {
        root,
        whiteouts,
        lowers,
        below,
        shared,
        limits,
        side: side?.ring,
      }
      const result = thread.run<ApplyResult>({ kind: 'apply', input }, signal)
      const ring = new RingWriter(thread.ring)
      const sink: Sink = {
        async write(chunk) {
          side?.startIfWanted((reason) => thread.abort(reason))
          return await ring.write(chunk)
        },
        end: () => ring.end(),
      }
      await feed(tar, sink, result, (reason) => thread.abort(reason))
      const applied = await result
      const { replacedBytes = 0 } = (await side?.finished()) ?? {}
      return { ...applied, contentBytes: applied.contentBytes - replacedBytes }
    } catch (error) {
      side?.abandon()
      // Without a reason of its own the one thread was stopped by what the other failed with.
      const failure = await side?.failure()
      throw error ?? failure
    } finally {
      // The thread has another job soon.
      isOver = true
      this.#pool.release(thread)
    }
  }

  /** What differs in `tree` from `base`, or from nothing, sorted by path bytes. */
  changes(tree: string, base: string | undefined, options: CompareOptions = {}): Promise<readonly Change[]> {
    return this.#call('changes', { tree, base, touched: options.touched }, options)
  }

  /** What differs in `tree` from `base` as a layer tar; the same as `changes` and `exportChanges` in one walk. */
  diff(tree: string, base: string | undefined, options: CompareOptions = {}): TarStream {
    return this.#stream('diff', { tree, base, touched: options.touched }, options)
  }

  /** A layer tar of exactly these changes, read from `tree`. */
  exportChanges(tree: string, changes: readonly Change[], options: CallOptions = {}): TarStream {
    return this.#stream('exportChanges', { tree, changes }, options)
  }

  /** A layer tar of a whole directory, without the directory itself. */
  pack(tree: string, options: PackOptions = {}): TarStream {
    return this.#stream('pack', { tree, whiteouts: options.whiteouts ?? 'none', only: options.only }, options)
  }

  /** Bytes of all that is no directory, each inode once. */
  size(tree: string, options: CallOptions = {}): Promise<number> {
    return this.#call('size', { tree }, options)
  }

  /** How many directories a tree has, its root included: as many inodes does a copy by hard links take. */
  countDirectories(tree: string, options: CallOptions = {}): Promise<number> {
    return this.#call('countDirectories', { tree }, options)
  }

  /** Bytes of what was added or modified and is no directory, each inode once. */
  changesSize(tree: string, changes: readonly Change[], options: CallOptions = {}): Promise<number> {
    return this.#call('changesSize', { tree, changes }, options)
  }

  /**
   * Copies what is in `source`, and the directory's own metadata, into the existing directory `target`, sharing
   * blocks where the filesystem can.
   */
  copy(source: string, target: string, options: CopyOptions = {}): Promise<Jobs['copy']['answer']> {
    const { mode = 'content', overlayXattrs } = options
    return this.#call('copy', { source, target, mode, overlayXattrs }, options)
  }

  /** Makes the two directories by which overlayfs can stack one that is in AUFS's format; see `Shade`. */
  shade(request: ShadeRequest, options: CallOptions = {}): Promise<Shade> {
    return this.#call('shade', request, options)
  }

  /** Turns a directory from the format of AUFS into that of overlayfs or back, in place. */
  convert(step: Conversion, options: CallOptions = {}): Promise<void> {
    return this.#call('convert', step, options)
  }

  /**
   * Removes a tree without following links out of it. One that is not there is success.
   *
   * @throws SystemError EBUSY for what is mounted inside
   */
  async remove(path: string, options: RemoveOptions = {}): Promise<void> {
    try {
      await this.#remove(path, options)
    } catch (error) {
      // Not looked for before: the table of mounts is long on a busy host.
      if (options.unmounts !== true || !isSystemError(error, 'EBUSY')) throw error
      unmountTree(path)
      await this.#remove(path, options)
    }
  }

  async #remove(path: string, { signal, onLarge }: RemoveOptions): Promise<void> {
    signal?.throwIfAborted()
    if (this.#removesHere && removeTree(path, atOnce(removedHere))) return
    if (onLarge === undefined) await this.#call('remove', { path }, { signal })
    else if (!(await this.#call('remove', { path, entries: removedAtOnce }, { signal }))) {
      onLarge()
      await this.#behind(() => this.#call('remove', { path, pace: this.#hurry.gate }, {}))
    }
  }

  /** Finishes the large removals, at full speed; stops all else that runs, and ends the threads. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#hurry.resolve()
    await this.#removals
    await this.#pool[Symbol.asyncDispose]()
  }

  /** One after another. */
  async #behind(removal: () => Promise<unknown>): Promise<void> {
    const removed = this.#removals.then(removal)
    this.#removals = removed.catch(() => undefined)
    await removed
  }

  async #call<Kind extends JobKind>(
    kind: Kind,
    input: Jobs[Kind]['input'],
    { signal }: CallOptions,
  ): Promise<Jobs[Kind]['answer']> {
    const thread = await this.#pool.acquire(signal)
    try {
      return await thread.run<Jobs[Kind]['answer']>({ kind, input }, signal)
    } finally {
      this.#pool.release(thread)
    }
  }

  async *#stream<Kind extends JobKind>(
    kind: Kind,
    input: Jobs[Kind]['input'],
    { signal }: CallOptions,
  ): AsyncGenerator<Uint8Array, void, void> {
    const thread = await this.#pool.acquireForStream(signal)
    try {
      const done = thread.run({ kind, input }, signal)
      const ended = done.then(
        () => undefined,
        () => undefined,
      )
      const reader = new RingReader(thread.ring)
      try {
        for (let chunk = await reader.read(); chunk !== undefined; chunk = await reader.read()) {
          // A caller that drops the stream without leaving it shall not keep the process alive.
          thread.hold(false)
          yield chunk
          thread.hold(true)
        }
        await done
      } finally {
        thread.hold(true)
        thread.abort(new RingAborted('the stream was left'))
        await ended
      }
    } finally {
      this.#pool.release(thread)
    }
  }
}
