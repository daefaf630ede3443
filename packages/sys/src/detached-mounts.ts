import { closeSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { O } from './abi.ts'
import { AT_FDCWD } from './constants.ts'
import { unmountAndRemove } from './mount.ts'
import { openat } from './open.ts'

interface Held {
  readonly fd: Promise<number>
  users: number
}

/**
 * Mounts that are attached nowhere: nobody else comes across them, and they end with this process however it ends. What is mounted under a name once is shared by all that hold it.
 */
export class DetachedMounts {
  readonly #held = new Map<string, Held>()

  /**
   * @param open a descriptor of what is mounted, such as `openFilesystem` returns; not called while the name is held
   * @returns a path for the root of what is mounted
   * @throws what `open` throws; then nothing is held
   */
  async hold(name: string, open: () => Promise<number> | number): Promise<string> {
    const held = this.#held.get(name) ?? { fd: Promise.resolve().then(open), users: 0 }
    held.users++
    this.#held.set(name, held)
    try {
      // The kernel follows it to what the descriptor is of (proc(5)), also for programs that this process starts.
      return `/proc/${process.pid}/fd/${await held.fd}`
    } catch (error) {
      held.users--
      if (held.users === 0) this.#held.delete(name)
      throw error
    }
  }

  /** @returns whether this was the last that held it */
  async release(name: string): Promise<boolean> {
    const held = this.#held.get(name)
    if (held === undefined) return false
    held.users--
    if (held.users > 0) return false
    this.#held.delete(name)
    closeSync(await held.fd)
    return true
  }

  async releaseAll(): Promise<void> {
    const all = [...this.#held.values()]
    this.#held.clear()
    for (const { fd } of all) closeSync(await fd)
  }
}

/**
 * For what cannot be mounted nowhere from the start: mounts at an empty directory, opens, and detaches. A mount lives as long as
 * somebody has it open, wherever it was (umount2(2), MNT_DETACH). A process that is killed before it has detached leaves it.
 */
export async function openDetached(mount: (target: string) => Promise<void> | void): Promise<number> {
  const target = mkdtempSync(path.join(tmpdir(), 'graphdriver-'))
  try {
    await mount(target)
    return openat(AT_FDCWD, target, O.PATH | O.DIRECTORY)
  } finally {
    unmountAndRemove(target)
  }
}
