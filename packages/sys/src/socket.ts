/** Unix sockets as places where one process serves. */
import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { isSystemError } from './error.ts'

/**
 * Makes a path free to serve at: its directory is there, and the socket of a process that was killed is not.
 *
 * @returns false where somebody answers; nothing is changed then
 * @throws SystemError for a socket that may not be connected to
 */
export async function freeSocket(socket: string): Promise<boolean> {
  await mkdir(path.dirname(socket), { recursive: true })
  if (await answers(socket)) return false
  await rm(socket, { force: true })
  return true
}

async function answers(socket: string): Promise<boolean> {
  const attempt = connect(socket)
  try {
    await once(attempt, 'connect')
    return true
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ECONNREFUSED')) return false
    throw error
  } finally {
    attempt.destroy()
  }
}
