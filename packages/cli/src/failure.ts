import { isGraphDriverError } from '@graphdriver/core'
import { CommandError, isSystemError } from '@graphdriver/sys'
import { Interrupted } from './interruption.ts'
import { RuntimeFailure } from './runtime/container-runtime.ts'
import type { Settings } from './settings.ts'

/** What is said of an error: to people as a line, to programs as a document. */
export interface Failure {
  readonly code: string
  readonly message: string
  readonly details: unknown
}

/** A command line that is not understood. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
  readonly code = 'USAGE'
}

/** An error whose exit code is not 1; its cause is what to report. */
export class ExitCodeError extends Error {
  override readonly name = 'ExitCodeError'
  readonly exitCode: number

  constructor(exitCode: number, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.exitCode = exitCode
  }
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode
  if (error instanceof ExitCodeError)
    return error.cause instanceof Interrupted ? error.cause.exitCode : error.exitCode
  return error instanceof UsageError ? 2 : 1
}

export function describeFailure(error: unknown, settings: Settings): Failure {
  if (error instanceof ExitCodeError) return describeFailure(error.cause, settings)
  if (error instanceof Interrupted)
    return { code: 'INTERRUPTED', message: error.message, details: { signal: error.signal } }
  if (error instanceof UsageError) return { code: error.code, message: error.message, details: {} }
  if (error instanceof RuntimeFailure) return { code: 'RUNTIME_FAILED', message: error.message, details: {} }
  if (isGraphDriverError(error))
    return { code: error.code, message: withCause(error), details: error.details }
  if (error instanceof CommandError) {
    return { code: error.code, message: error.message, details: { command: error.command, args: error.args } }
  }
  if (isSystemError(error)) return describeHostError(error, settings)
  const message = error instanceof Error ? error.message : String(error)
  return { code: 'INTERNAL', message: `${message} (a bug; --verbose shows where)`, details: {} }
}

function describeHostError(error: NodeJS.ErrnoException, { root }: Settings): Failure {
  const { code = 'UNKNOWN', syscall, path: file } = error
  return { code, message: hostMessage(error, root, file), details: { syscall, path: file, root } }
}

function hostMessage(error: NodeJS.ErrnoException, root: string, file: string | undefined): string {
  const within = file === undefined || file === root || file.startsWith(`${root}/`) || root.startsWith(file)
  const { code = '' } = error
  if (['EACCES', 'EPERM'].includes(code)) {
    if (within) return `no permission on ${root}; run as root or choose --root (${error.message})`
    return `${file}: permission denied`
  }
  if (code === 'EROFS') return `${within ? root : file} is on a read-only filesystem; choose --root`
  if (['ENOSPC', 'EDQUOT'].includes(code)) {
    return `no space left on the filesystem of ${root}; nothing of this call was kept, free some or choose --root`
  }
  if (code === 'ENOENT' && file !== undefined) return `${file}: no such file or directory`
  return error.message
}

/** A translated error often leaves the host's own word, such as ENOSPC, to its cause. */
function withCause(error: Error): string {
  const { cause } = error
  if (!(cause instanceof Error) || error.message.includes(cause.message)) return error.message
  return `${error.message} (${cause.message})`
}
