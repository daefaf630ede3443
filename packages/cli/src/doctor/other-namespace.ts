import { closeSync, openSync, readlinkSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { findCommand } from '@graphdriver/sys'
import { startProgram } from '../process.ts'

/** A user namespace in which root is somebody else out here. */
export interface OtherNamespace extends AsyncDisposable {
  readonly fd: number
}

/** The ids that distributions give to the first user. */
const mapping = '0 100000 65536\n'

/** Made by a process that does nothing else, and ends with what is returned. @returns why there is none */
export async function otherNamespace(): Promise<OtherNamespace | string> {
  const unshare = findCommand('unshare')
  if (unshare === undefined) return 'unshare is not installed'
  const sleeping = await startProgram(unshare, ['--user', '--', 'sleep', '60'], { mute: true })
  const end = async (): Promise<void> => {
    sleeping.kill('SIGKILL')
    await sleeping.exit
  }
  try {
    const place = `/proc/${sleeping.pid}`
    const own = readlinkSync('/proc/self/ns/user')
    let tries = 0
    while (readlinkSync(`${place}/ns/user`) === own) {
      if (++tries > 200) throw new Error('unshare made no user namespace')
      await setTimeout(5)
    }
    for (const map of ['uid_map', 'gid_map']) writeFileSync(`${place}/${map}`, mapping)
    const fd = openSync(`${place}/ns/user`, 'r')
    return {
      fd,
      async [Symbol.asyncDispose]() {
        closeSync(fd)
        await end()
      },
    }
  } catch (error) {
    await end()
    return error instanceof Error ? error.message : String(error)
  }
}
