import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { lstatSync, mkdirSync, readdirSync, readlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { mount, umount } from '@graphdriver/sys'

export interface Scratch extends AsyncDisposable {
  readonly path: string
  /** An empty directory in it. */
  directory(name: string): string
}

/** A directory of the test's own, gone when the test is. */
export async function scratch(): Promise<Scratch> {
  const root = await mkdtemp(path.join(tmpdir(), 'gd-archive-'))
  return {
    path: root,
    directory: (name) => {
      const made = path.join(root, name)
      mkdirSync(made)
      return made
    },
    [Symbol.asyncDispose]: () => rm(root, { recursive: true, force: true }),
  }
}

/** A directory of which a disk's habits are no part; needs root. */
export async function inMemory(): Promise<Scratch> {
  const dir = await scratch()
  mount({ source: 'archive', target: dir.path, type: 'tmpfs' })
  return {
    ...dir,
    async [Symbol.asyncDispose]() {
      umount(dir.path)
      await dir[Symbol.asyncDispose]()
    },
  }
}

/** Every path below a directory, directories with a slash, links with their target, sorted. */
export function listTree(root: string, below = ''): string[] {
  const found: string[] = []
  for (const name of readdirSync(path.join(root, below))) {
    const inside = path.join(below, name)
    const stat = lstatSync(path.join(root, inside))
    if (stat.isDirectory()) found.push(`${inside}/`, ...listTree(root, inside))
    else if (stat.isSymbolicLink()) found.push(`${inside} -> ${readlinkSync(path.join(root, inside))}`)
    else found.push(inside)
  }
  return found.toSorted()
}

/** How many descriptors this process has open. */
export async function openDescriptors(): Promise<number> {
  return (await readdir('/proc/self/fd')).length
}

export const isRoot: boolean = process.geteuid?.() === 0
