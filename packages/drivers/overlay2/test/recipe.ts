/** Random but repeatable work on a root filesystem: what containers do to layers. */
import {
  appendFileSync,
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { AT_FDCWD, isSystemError, lsetxattr, makedev, mknodat, S } from '@graphdriver/sys'

/** A generator of numbers in [0, bound), the same for the same seed (mulberry32). */
export function randomNumbers(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound)
  }
}

const names = ['a', 'b', 'c', 'sub', 'a-b', 'ü', 'with space', '.hidden']

/** Does `count` things somewhere below `root`; what the kernel refuses (EXDEV, ENOTEMPTY …) is left undone. */
export function workOn(root: string, random: (bound: number) => number, count: number): void {
  const actions = actionsOn(random)
  for (let done = 0; done < count; done++) {
    const action = actions[random(actions.length)]
    const target = pathBelow(root, random)
    try {
      action?.(target, pathBelow(root, random))
    } catch (error) {
      if (!isSystemError(error)) throw error
    }
  }
}

function pathBelow(root: string, random: (bound: number) => number): string {
  let directory = root
  for (;;) {
    const name = names[random(names.length)] ?? 'a'
    const target = path.join(directory, name)
    const isDirectory = lstatSync(target, { throwIfNoEntry: false })?.isDirectory() === true
    if (!isDirectory || random(3) === 0) return target
    directory = target
  }
}

function actionsOn(random: (bound: number) => number): readonly ((target: string, other: string) => void)[] {
  const content = (): Buffer => Buffer.alloc(random(5000), random(256))
  const makeFile = (target: string): void => writeFileSync(target, content())
  const makeDirectory = (target: string): void => mkdirSync(target)
  const makeTree = (target: string): void => {
    rmSync(target, { recursive: true, force: true })
    mkdirSync(target)
    writeFileSync(path.join(target, 'a'), content())
  }
  const remove = (target: string): void => rmSync(target, { recursive: true, force: true })
  return [
    makeFile,
    makeFile,
    makeDirectory,
    makeDirectory,
    makeTree,
    makeTree,
    remove,
    remove,
    (target) => appendFileSync(target, content()),
    (target, other) => renameSync(target, other),
    (target, other) => renameSync(target, other),
    (target, other) => linkSync(target, other),
    (target, other) => symlinkSync(path.basename(other), target),
    (target) => chmodSync(target, [0o644, 0o755, 0o4755, 0o1777, 0o600][random(5)] ?? 0o644),
    (target) => {
      // A directory's time alone is no change: every file made in it would be one.
      if (!lstatSync(target).isDirectory()) utimesSync(target, random(2 ** 31), random(2 ** 31))
    },
    (target) => mknodAt(target, S.IFCHR, makedev(1, 3)),
    // Under a name that nothing above opens, which would wait for a reader.
    (target) => mknodAt(`${target}.fifo`, S.IFIFO, 0n),
    (target) => lsetxattr(target, 'user.mark', content().subarray(0, 100)),
    (target) => {
      rmSync(target, { recursive: true, force: true })
      writeFileSync(target, content())
    },
    (target) => readdirSync(target).forEach((name) => remove(path.join(target, name))),
  ]
}

function mknodAt(target: string, type: number, device: bigint): void {
  mknodat(AT_FDCWD, target, type | 0o644, device)
}
