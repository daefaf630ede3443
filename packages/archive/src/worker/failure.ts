/** Errors on their way between threads: structured clone would keep the message and lose everything else. */
import { type ErrorCode, type ErrorDetails, GraphDriverError, isGraphDriverError } from '@graphdriver/core'
import { isSystemError, SystemError } from '@graphdriver/sys'
import { RingAborted } from './ring.ts'

interface Told {
  readonly message: string
  readonly stack: string | undefined
  readonly cause: Failure | undefined
}

export type Failure =
  | (Told & { readonly kind: 'aborted' })
  | (Told & {
      readonly kind: 'graphdriver'
      readonly code: ErrorCode
      readonly details: ErrorDetails[ErrorCode]
    })
  | (Told & {
      readonly kind: 'system'
      readonly errno: number
      readonly syscall: string
      readonly path: string | undefined
      readonly dest: string | undefined
    })
  | (Told & { readonly kind: 'other'; readonly name: string })

export function describeFailure(error: unknown): Failure {
  if (!(error instanceof Error)) {
    return { kind: 'other', name: 'Error', message: String(error), stack: undefined, cause: undefined }
  }
  const { message, stack } = error
  const cause = error.cause === undefined ? undefined : describeFailure(error.cause)
  const told = { message, stack, cause }
  if (error instanceof RingAborted) return { kind: 'aborted', ...told }
  if (isGraphDriverError(error)) {
    return { kind: 'graphdriver', code: error.code, details: error.details, ...told }
  }
  if (isSystemError(error) && error.errno !== undefined) {
    const dest = 'dest' in error && typeof error.dest === 'string' ? error.dest : undefined
    const { errno, path, syscall = 'unknown' } = error
    return { kind: 'system', errno, syscall, path, dest, ...told }
  }
  return { kind: 'other', name: error.name, ...told }
}

/** The error again, with the stack of the thread it comes from. */
export function reviveFailure(failure: Failure): Error {
  const error = rebuild(failure)
  error.message = failure.message
  if (failure.stack !== undefined) error.stack = failure.stack
  return error
}

function rebuild(failure: Failure): Error {
  const options = failure.cause === undefined ? {} : { cause: reviveFailure(failure.cause) }
  switch (failure.kind) {
    case 'aborted':
      return new RingAborted(failure.message)
    case 'graphdriver':
      return new GraphDriverError(failure.code, failure.message, failure.details, options)
    case 'system': {
      const { syscall, path, dest } = failure
      return new SystemError(Math.abs(failure.errno), { syscall, path, dest })
    }
    case 'other': {
      const error = new Error(failure.message, options)
      error.name = failure.name
      return error
    }
  }
}
