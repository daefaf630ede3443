/** Runs syncfs(2), which can take seconds, beside the main thread. Messages are described in filesystem-sync.ts. */
import { closeSync, openSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'
import { isSystemError, syncfs } from '@graphdriver/sys'
import type { SyncReply } from './filesystem-sync.ts'

parentPort?.on('message', (directory: string) => {
  parentPort?.postMessage(sync(directory))
})

function sync(directory: string): SyncReply {
  try {
    const fd = openSync(directory, 'r')
    try {
      syncfs(fd)
    } finally {
      closeSync(fd)
    }
    return { done: true }
  } catch (error) {
    if (!isSystemError(error))
      return { done: false, errno: undefined, syscall: 'syncfs', message: String(error) }
    return { done: false, errno: error.errno, syscall: error.syscall ?? 'syncfs', message: error.message }
  }
}
