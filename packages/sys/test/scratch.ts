import { mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { close, O, openat, unmountTree } from '../src/index.ts'

/** Whether this process may mount and own anything. */
export const isRoot: boolean = process.getuid?.() === 0

export interface Scratch extends Disposable {
  readonly path: string
  readonly at: (...names: readonly string[]) => string
}

/** A directory of a test's own; nothing is left of it, mounts included. */
export function scratch(): Scratch {
  const path = realpathSync(mkdtempSync(join(tmpdir(), 'sys-')))
  return {
    path,
    at: (...names) => join(path, ...names),
    [Symbol.dispose]: () => {
      if (isRoot) unmountTree(path)
      rmSync(path, { recursive: true, force: true })
    },
  }
}

export interface Descriptor extends Disposable {
  readonly fd: number
}

export function descriptor(fd: number): Descriptor {
  return { fd, [Symbol.dispose]: () => close(fd) }
}

export function openDirectory(path: string): Descriptor {
  return descriptor(openat(-100, path, O.RDONLY | O.DIRECTORY))
}

/** What a call throws. */
export function thrown(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('it did not throw')
}
