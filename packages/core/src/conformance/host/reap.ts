import { readdirSync, realpathSync, renameSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { commandSync } from './command.ts'
import { attachedBelow, backingFile } from './loop-devices.ts'
import { mountsBelow } from './mount-table.ts'
import { isAlive, ownPrefix, ownerOf } from './owner.ts'

/** Where everything is made. Resolved, because the mount table shows no symbolic links. */
export function labRoot(): string {
  return realpathSync(tmpdir())
}

/** Takes a directory down with all that is mounted in it or attached to its files; returns what was mounted. */
export function tearDown(directory: string): readonly string[] {
  const mounts = mountsBelow(directory)
  // Asked before, since a file on what is no longer mounted has no path.
  const loops = attachedBelow(directory)
  // Lazily: a process that still runs inside keeps what it has open, but the name is free.
  for (const mount of mounts) commandSync('umount', ['--lazy', mount])
  for (const [device] of loops) detach(device)
  rmSync(directory, { recursive: true, force: true })
  return mounts
}

/** Those of mount(8) go with their mount, or some time after. */
function detach(device: string): void {
  if (backingFile(device) === undefined) return
  try {
    commandSync('losetup', ['--detach', device])
  } catch (error) {
    if (backingFile(device) !== undefined) throw error
  }
}

/** Of several that reap at once, the one whose rename succeeds; whoever comes after it finds an owner that lives. */
function claim(directory: string): string | undefined {
  const claimed = path.join(path.dirname(directory), `${ownPrefix()}reaped-${path.basename(directory)}`)
  try {
    renameSync(directory, claimed)
    return claimed
  } catch {
    return undefined
  }
}

/**
 * Removes what processes that no longer live have left: mounts, loop devices, files. What this process has no right
 * to remove, as in a user namespace what is mounted outside of it, waits for one that has. Returns the names.
 */
export function reap(): readonly string[] {
  const root = labRoot()
  return readdirSync(root).filter((name) => {
    const owner = ownerOf(name)
    if (owner === undefined || isAlive(owner)) return false
    const claimed = claim(path.join(root, name))
    if (claimed === undefined) return false
    try {
      tearDown(claimed)
      return true
    } catch {
      renameSync(claimed, path.join(root, name))
      return false
    }
  })
}

function tearDownOwn(): void {
  const root = labRoot()
  const prefix = ownPrefix()
  for (const name of readdirSync(root)) if (name.startsWith(prefix)) tearDown(path.join(root, name))
}

/**
 * Comes before anything is made: sees to it that nothing outlives this process, should it end by an exception, and
 * reaps what those left that ended worse.
 */
export function enterLab(): void {
  if (process.listeners('exit').includes(tearDownOwn)) return
  process.on('exit', tearDownOwn)
  reap()
}
