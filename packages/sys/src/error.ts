import { constants } from 'node:os'
import { getSystemErrorMessage } from 'node:util'

/** Which call failed on what. */
export interface SystemErrorContext {
  readonly syscall: string
  readonly path?: string | undefined
  readonly dest?: string | undefined
  /** What else is known, such as the kernel's own words. */
  readonly note?: string | undefined
}

const names = new Map<number, string>(Object.entries(constants.errno).map(([name, number]) => [number, name]))

/** A failed system call, in the shape of Node's own errors: `code`, negative `errno`, `syscall`, `path`, `dest`. */
export class SystemError extends Error {
  override readonly name: string = 'SystemError'
  readonly code: string
  readonly errno: number
  readonly syscall: string
  readonly path?: string
  readonly dest?: string

  /** @param errno positive, as the kernel has it */
  constructor(errno: number, context: SystemErrorContext) {
    const code = names.get(errno) ?? `E${errno}`
    const subject = context.path === undefined ? '' : ` '${context.path}'`
    const dest = context.dest === undefined ? '' : ` -> '${context.dest}'`
    const note = context.note === undefined ? '' : ` (${context.note})`
    super(`${code}: ${describe(errno)}, ${context.syscall}${subject}${dest}${note}`)
    this.code = code
    this.errno = -errno
    this.syscall = context.syscall
    if (context.path !== undefined) this.path = context.path
    if (context.dest !== undefined) this.dest = context.dest
  }
}

function describe(errno: number): string {
  try {
    return getSystemErrorMessage(-errno) ?? `error ${errno}`
  } catch {
    return `error ${errno}`
  }
}

/** A call that this platform does not have; its `code` is `ENOSYS`. */
export class UnsupportedPlatformError extends SystemError {
  override readonly name = 'UnsupportedPlatformError'

  constructor(syscall: string, note = `not on ${process.platform} ${process.arch}`) {
    super(constants.errno.ENOSYS, { syscall, note })
  }
}

/** True for an error of this package or of Node with one of `codes` (any code when none is given). */
export function isSystemError(error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return false
  return codes.length === 0 ? 'syscall' in error : codes.includes(error.code)
}
