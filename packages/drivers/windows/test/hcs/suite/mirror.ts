/** Makes one directory like another, touching only what differs. */
import {
  chmodSync,
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  type Stats,
  utimesSync,
} from 'node:fs'
import path from 'node:path'

/** What Windows deletes may be there for a moment, so the directory around it is tried again. */
export function removeTree(target: string): void {
  rmSync(target, { recursive: true, force: true, maxRetries: 10 })
}

export function mirror(from: string, to: string): void {
  const wanted = new Set(readdirSync(from))
  for (const name of readdirSync(to)) if (!wanted.has(name)) removeTree(path.join(to, name))
  for (const name of wanted) mirrorEntry(path.join(from, name), path.join(to, name))
  copyTimes(lstatSync(from), to)
}

function mirrorEntry(source: string, target: string): void {
  const stat = lstatSync(source)
  let found = lstatSync(target, { throwIfNoEntry: false })
  if (found !== undefined && found.isDirectory() !== stat.isDirectory()) {
    removeTree(target)
    found = undefined
  }
  if (stat.isDirectory()) {
    mkdirSync(target, { recursive: true })
    mirror(source, target)
    return
  }
  if (found === undefined || !same(source, target, stat, found)) {
    if (found !== undefined) chmodSync(target, 0o666)
    copyFileSync(source, target)
  }
  copyTimes(stat, target)
  chmodSync(target, stat.mode)
}

function same(source: string, target: string, a: Stats, b: Stats): boolean {
  return a.size === b.size && readFileSync(source).equals(readFileSync(target))
}

function copyTimes({ atimeMs, mtimeMs }: Stats, target: string): void {
  utimesSync(target, atimeMs / 1000, mtimeMs / 1000)
}
