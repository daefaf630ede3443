import { existsSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { commandSync } from './command.ts'
import { mountsBelow } from './mount-table.ts'
import { isAlive, ownPrefix, ownerOf } from './owner.ts'

/** Where the lab works. Resolved, because the mount table shows no symbolic links. */
export function labRoot(): string {
  return realpathSync(tmpdir())
}

/** The loop devices whose image file is in a directory; the kernel lists them below /sys. */
function loopDevicesIn(directory: string): readonly string[] {
  const listed = commandSync('losetup', ['--list', '--noheadings', '--raw', '--output', 'NAME,BACK-FILE'])
  return listed.split('\n').flatMap((line) => {
    const [device, file] = line.split(' ')
    return device !== undefined && file?.startsWith(directory + path.sep) === true ? [device] : []
  })
}

/** Takes a directory down with all that is mounted in it or attached to its files; returns what was mounted. */
export function tearDown(directory: string): readonly string[] {
  const mounts = process.platform === 'linux' ? mountsBelow(directory) : []
  // Lazily: a process that still runs inside keeps what it has open, but the name is free.
  for (const mount of mounts) commandSync('umount', ['--lazy', mount])
  if (existsSync(path.join(directory, 'image'))) {
    for (const device of loopDevicesIn(directory)) commandSync('losetup', ['--detach', device])
  }
  rmSync(directory, { recursive: true, force: true })
  return mounts
}

function tearDownWhere(condemned: (name: string) => boolean): readonly string[] {
  const root = labRoot()
  const names = readdirSync(root).filter(condemned)
  for (const name of names) tearDown(path.join(root, name))
  return names
}

/** Removes what processes that no longer live have left: mounts, loop devices, files. Returns the names. */
export function reap(): readonly string[] {
  return tearDownWhere((name) => {
    const owner = ownerOf(name)
    return owner !== undefined && !isAlive(owner)
  })
}

function tearDownOwn(): void {
  const prefix = ownPrefix()
  tearDownWhere((name) => name.startsWith(prefix))
}

/** Sees to it that nothing outlives this process, should it end by an exception; `reap` is for worse ends. */
export function tearDownAtExit(): void {
  if (!process.listeners('exit').includes(tearDownOwn)) process.on('exit', tearDownOwn)
}
