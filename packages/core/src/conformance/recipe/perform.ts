/** Doing a recipe to a directory, with Node's own calls and the system's own programs. */
import {
  appendFileSync,
  chmodSync,
  closeSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import path from 'node:path'
import { command } from '../host/command.ts'
import { CannotRun } from '../lab.ts'
import { type Attributes, contentBytes, type Recipe, type Step } from './step.ts'

/**
 * Does every step, then gives all that was touched a time that depends on its path and on `layer` alone, but for
 * what the recipe gave a time itself: two trees that were made one after the other can be compared to the nanosecond.
 */
export async function perform(root: string, recipe: Recipe, layer = 0): Promise<void> {
  const performance = new Performance(root, layer)
  for (const step of recipe) await performance.step(step)
  performance.settle()
}

/**
 * Windows, and Wine, delete a file when its last handle is closed, which may be a moment after the call: only there is
 * a directory that is not empty yet tried again, so that a driver on Linux has nothing forgiven.
 */
function removeTree(target: string): void {
  rmSync(target, { recursive: true, maxRetries: process.platform === 'win32' ? 10 : 0 })
}

/** Wine says that it has made one, and has not. */
function makeSymlink(to: string, target: string): void {
  try {
    symlinkSync(to, target)
  } catch (error) {
    if (process.platform !== 'win32') throw error
  }
  if (process.platform === 'win32' && lstatSync(target, { throwIfNoEntry: false }) === undefined)
    throw new CannotRun('symbolic links cannot be made here')
}

/** @throws CannotRun where there is no such program */
export async function program(name: string, args: readonly string[]): Promise<void> {
  if (process.platform === 'win32') throw new CannotRun(`there is no ${name} here`)
  await command(name, args)
}

/** FNV-1a, to spread times. */
function hash(text: string): number {
  let state = 0x811c9dc5
  for (const byte of Buffer.from(text)) state = Math.imul(state ^ byte, 0x01000193) >>> 0
  return state
}

/** Node takes a negative number for "now", but not a date. */
function setTime(target: string, seconds: number): void {
  const time = seconds < 0 ? new Date(seconds * 1000) : seconds
  lutimesSync(target, time, time)
}

class Performance {
  readonly #root: string
  readonly #layer: number
  /** Whose time is now; `''` is the root. */
  readonly #touched = new Set<string>()
  /** Times that the recipe asks for. */
  readonly #fixed = new Map<string, number>()

  constructor(root: string, layer: number) {
    this.#root = root
    this.#layer = layer
  }

  async step(step: Step): Promise<void> {
    const target = this.#at(step.path)
    switch (step.do) {
      case 'file': {
        const isNew = lstatSync(target, { throwIfNoEntry: false }) === undefined
        writeFileSync(target, contentBytes(step.content))
        if (isNew || step.with !== undefined)
          this.#dress(step.path, step.with ?? {}, isNew ? 0o644 : undefined)
        return this.#touch(step.path, isNew)
      }
      case 'directory':
        mkdirSync(target)
        this.#dress(step.path, step.with ?? {}, 0o755)
        return this.#touch(step.path, true)
      case 'symlink':
        makeSymlink(step.target, target)
        this.#dress(step.path, step.with ?? {})
        return this.#touch(step.path, true)
      case 'link':
        linkSync(this.#at(step.to), target)
        return this.#touch(step.path, true)
      case 'rename':
        return this.#rename(step.path, step.to)
      case 'remove':
        removeTree(target)
        this.#forget(step.path)
        return this.#touchParent(step.path)
      case 'append':
        appendFileSync(target, contentBytes(step.content))
        return this.#touch(step.path, false)
      case 'attributes':
        this.#dress(step.path, step.with)
        return
      case 'xattr':
        await program('setfattr', [
          '--no-dereference',
          `--name=${step.name}`,
          `--value=${step.value}`,
          target,
        ])
        return
      case 'device':
        await program('mknod', [target, step.kind, String(step.major), String(step.minor)])
        this.#dress(step.path, step.with ?? {}, 0o600)
        return this.#touch(step.path, true)
      case 'fifo':
        await program('mkfifo', [target])
        this.#dress(step.path, step.with ?? {}, 0o600)
        return this.#touch(step.path, true)
      case 'socket':
        await bindSocket(target)
        return this.#touch(step.path, true)
    }
  }

  /** In the order in which they were touched, which decides where two names are one inode. */
  settle(): void {
    for (const touched of this.#touched) {
      const target = this.#at(touched)
      if (lstatSync(target, { throwIfNoEntry: false }) !== undefined) this.#settle(touched)
    }
  }

  #settle(relative: string): void {
    const spread = hash(relative) % 100_000
    const time = this.#fixed.get(relative) ?? 1_000_000_000 + this.#layer * 100_000 + spread + 0.123456789
    setTime(this.#at(relative), time)
  }

  #at(relative: string): string {
    return path.join(this.#root, relative)
  }

  /** The owner first: chown(2) clears the set-id bits. */
  #dress(relative: string, { mode, uid, gid, mtime }: Attributes, standardMode?: number): void {
    const target = this.#at(relative)
    const stat = lstatSync(target)
    if (uid !== undefined || gid !== undefined) lchownSync(target, uid ?? stat.uid, gid ?? stat.gid)
    const wanted = mode ?? standardMode
    if (wanted !== undefined) chmodSync(target, wanted)
    if (mtime === undefined) return
    this.#fixed.set(relative, mtime)
    setTime(target, mtime)
  }

  async #rename(from: string, to: string): Promise<void> {
    const [source, target] = [this.#at(from), this.#at(to)]
    if (lstatSync(source).isDirectory()) {
      await program('cp', ['--archive', '--no-target-directory', source, target])
      removeTree(source)
      this.#forget(from)
      this.#touchAll(to)
    } else {
      renameSync(source, target)
      this.#move(from, to)
    }
    this.#touchParent(from)
    this.#touchParent(to)
  }

  /** What has gone from a path, with all below it, says nothing of what comes there later. */
  #forget(relative: string): void {
    for (const path of [...this.#touched, ...this.#fixed.keys()]) {
      if (path !== relative && !path.startsWith(`${relative}/`)) continue
      this.#touched.delete(path)
      this.#fixed.delete(path)
    }
  }

  /** What was touched before it was renamed is settled under its new name; anything else keeps its time. */
  #move(from: string, to: string): void {
    const [touched, fixed] = [this.#touched.has(from), this.#fixed.get(from)]
    this.#forget(from)
    this.#forget(to)
    if (touched) this.#touched.add(to)
    if (fixed !== undefined) this.#fixed.set(to, fixed)
  }

  /** In an order of its own: of two names of one inode, the last settles its time. Links are not followed. */
  #touchAll(relative: string): void {
    this.#touched.add(relative)
    const entries = readdirSync(this.#at(relative), { withFileTypes: true })
    for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
      const inside = path.join(relative, entry.name)
      if (entry.isDirectory()) this.#touchAll(inside)
      else this.#touched.add(inside)
    }
  }

  #touch(relative: string, isNew: boolean): void {
    this.#touched.add(relative)
    // At once too: the file may lose this name and live on under another.
    this.#settle(relative)
    if (isNew) this.#touchParent(relative)
  }

  #touchParent(relative: string): void {
    const parent = path.dirname(relative)
    this.#touched.add(parent === '.' ? '' : parent)
  }
}

/**
 * Leaves a socket that nobody listens on. Bound through the directory's descriptor, since the address of a socket
 * holds 107 bytes (unix(7)), and under another name, because closing the server removes the one it knows.
 */
async function bindSocket(target: string): Promise<void> {
  if (process.platform === 'win32') throw new CannotRun('there are no sockets among files here')
  const directory = openSync(path.dirname(target), 'r')
  const server = createServer()
  try {
    const born = `/proc/self/fd/${directory}/${path.basename(target)}~`
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(born, resolve)
    })
    chmodSync(born, 0o755)
    renameSync(born, target)
  } finally {
    await new Promise<void>((resolve) => {
      server.close(() => resolve())
    })
    closeSync(directory)
  }
}
