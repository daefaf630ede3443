/** A disk that can be made to stall: its file is on a filesystem whose server is a process, and can be stopped. */
import { mkdir, open } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { command } from '@graphdriver/core/conformance'
import { isMountPoint } from '@graphdriver/sys'
import { execa } from 'execa'
import { filesystem } from './filesystem.ts'
import type { Requirement } from './requirement.ts'

/** What a host needs for one, in the terms of `need`. */
export const stallingDiskRequirements: readonly Requirement[] = [
  { root: true },
  { command: 'fuse-overlayfs' },
  { command: 'mkfs.ext4' },
]

export interface StallingDisk extends AsyncDisposable {
  /** Where an ext4 on it is mounted. The kernel has much of it in memory, and puts off what it is to write. */
  readonly path: string
  /** A directory on the filesystem below, of which nothing is in memory: each call waits. */
  readonly served: string
  /** From now on nothing is read or written; what waits cannot be interrupted. */
  stall(): void
  /** All goes on. */
  goOn(): void
}

/** Disposing it lets it go on, and fails if something is left mounted on it. */
export async function stallingDisk(sizeMiB: number): Promise<StallingDisk> {
  const memory = await filesystem('tmpfs', { sizeMiB: sizeMiB + 16 })
  const at = (name: string): string => path.join(memory.path, name)
  for (const name of ['lower', 'upper', 'work', 'served', 'disk']) await mkdir(at(name))
  const layers = `lowerdir=${at('lower')},upperdir=${at('upper')},workdir=${at('work')}`
  const server = execa('fuse-overlayfs', ['-f', '-o', layers, at('served')], {
    reject: false,
    stdio: 'ignore',
  })
  const end = async (): Promise<void> => {
    server.kill('SIGCONT')
    for (const name of ['disk', 'served']) if (isMountPoint(at(name))) await command('umount', [at(name)])
    await server
    await memory[Symbol.asyncDispose]()
  }
  try {
    while (!isMountPoint(at('served'))) await setTimeout(10)
    await makeDisk(at('served/image'), sizeMiB, at('disk'))
  } catch (error) {
    await end()
    throw error
  }
  return {
    path: at('disk'),
    served: at('served'),
    stall: () => void server.kill('SIGSTOP'),
    goOn: () => void server.kill('SIGCONT'),
    [Symbol.asyncDispose]: end,
  }
}

async function makeDisk(image: string, sizeMiB: number, target: string): Promise<void> {
  {
    await using file = await open(image, 'wx', 0o600)
    await file.truncate(sizeMiB * 1024 * 1024)
  }
  await command('mkfs.ext4', ['-q', '-F', '-E', 'nodiscard', image])
  await command('mount', ['--make-private', '--options', 'loop', image, target])
}
