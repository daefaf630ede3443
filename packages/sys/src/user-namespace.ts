/** User namespaces as objects, by which mounts are mapped (mount_setattr(2)): nobody lives in them. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { constants } from 'node:os'
import { findCommand } from './command.ts'
import { SystemError } from './error.ts'
import type { IdRange } from './process.ts'

/** Who is who: `inside` is in the namespace, or on the disk below a mapped mount; `outside` is here. */
export interface IdRanges {
  readonly uids: readonly IdRange[]
  readonly gids: readonly IdRange[]
}

/** Descriptors of those used last, since a process has to be started to make one. */
const kept = new Map<string, Promise<number>>()
const mostKept = 16

/**
 * Does something with a descriptor of a namespace that has these ids; it may be closed when `use` has returned.
 *
 * @throws SystemError EPERM where this process may make none or not with these ids, ENOENT without unshare(1) of util-linux
 */
export async function withUserNamespace<T>(ids: IdRanges, use: (fd: number) => T): Promise<T> {
  const key = `${mapText(ids.uids)}/${mapText(ids.gids)}`
  const opened = kept.get(key) ?? makeNamespace(ids)
  // The last in the order of a Map is the one used last.
  kept.delete(key)
  kept.set(key, opened)
  try {
    forgetOldest()
    return use(await opened)
  } catch (error) {
    await opened.catch(() => kept.delete(key))
    throw error
  }
}

function forgetOldest(): void {
  const [oldest] = kept
  if (oldest === undefined || kept.size <= mostKept) return
  const [key, opened] = oldest
  kept.delete(key)
  // After whoever waits for it already, who uses it at once.
  void opened.then(closeSync, () => undefined)
}

async function makeNamespace({ uids, gids }: IdRanges): Promise<number> {
  const unshare = findCommand('unshare')
  if (unshare === undefined) {
    const note = 'a user namespace is made by unshare(1); install util-linux'
    throw new SystemError(constants.errno.ENOENT, { syscall: 'execve', path: 'unshare', note })
  }
  const child = spawn(unshare, ['--user', '--', 'cat'], { stdio: ['pipe', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  try {
    // It answers when it is in the namespace; or it ends.
    child.stdin.on('error', () => undefined).write('\n')
    await Promise.race([once(child.stdout, 'data'), ended])
    const { pid, exitCode } = child
    if (pid === undefined || exitCode !== null)
      throw new SystemError(constants.errno.EPERM, {
        syscall: 'unshare',
        note: 'no user namespace can be made',
      })
    writeFileSync(`/proc/${pid}/uid_map`, mapText(uids))
    writeFileSync(`/proc/${pid}/gid_map`, mapText(gids))
    return openSync(`/proc/${pid}/ns/user`, 'r')
  } finally {
    child.kill('SIGKILL')
    await ended
  }
}

function mapText(ranges: readonly IdRange[]): string {
  return ranges.map(({ inside, outside, count }) => `${inside} ${outside} ${count}\n`).join('')
}
