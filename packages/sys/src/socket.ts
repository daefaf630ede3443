/** Unix sockets as places where one process serves. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { isSystemError } from './error.ts'

/**
 * Whether somebody serves at a socket. A process that was killed leaves its socket, at which nobody answers.
 *
 * @throws SystemError for a socket that may not be connected to
 */
export async function isServed(socket: string): Promise<boolean> {
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
