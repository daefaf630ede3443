/** Errors on their way through a socket: text for Docker, and what it takes to throw the same again for our client. */
import { type ErrorCode, type ErrorDetails, GraphDriverError, isGraphDriverError } from '@graphdriver/core'
import type { Failure, Response } from './protocol.ts'

export function failureResponse(error: unknown): Response {
  if (!(error instanceof Error)) return { Err: String(error) }
  const Failure = failureOf(error)
  const Err = isGraphDriverError(error) ? `${error.code}: ${error.message}` : error.message
  return { Err: Err === '' ? error.name : Err, ...(Failure === undefined ? {} : { Failure }) }
}

function failureOf(error: Error): Failure | undefined {
  if (isGraphDriverError(error)) return { code: error.code, details: error.details }
  const { code, errno, syscall, path } = error as NodeJS.ErrnoException
  if (code === undefined) return undefined
  return {
    code,
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(path === undefined ? {} : { path }),
  }
}

/** What the server threw, as far as it said. */
export function thrownFor({ Err = '', Failure }: Response): Error {
  if (Failure === undefined) return new Error(Err)
  const { code, details, ...host } = Failure
  if (code.startsWith('GD_')) {
    const message = Err.startsWith(`${code}: `) ? Err.slice(code.length + 2) : Err
    return new GraphDriverError(code as ErrorCode, message, details as ErrorDetails[ErrorCode])
  }
  return Object.assign(new Error(Err), { code, ...host })
}
