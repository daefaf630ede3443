import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'

/** Which call failed on what. */
export interface SystemErrorContext {
  readonly syscall: string
  readonly path?: string | undefined
  readonly dest?: string | undefined
  /** What else is known, such as the kernel's own words. */
  readonly note?: string | undefined
}

/** What libuv, and so Node, has no name for, of the errors that filesystems give (asm-generic/errno.h). */
const linuxErrors: Readonly<Record<number, readonly [code: string, text: string]>> = {
  15: ['ENOTBLK', 'block device required'],
  35: ['EDEADLK', 'resource deadlock avoided'],
  37: ['ENOLCK', 'no locks available'],
  61: ['ENODATA', 'no data available'],
  67: ['ENOLINK', 'link has been severed'],
  72: ['EMULTIHOP', 'multihop attempted'],
  74: ['EBADMSG', 'bad message'],
  76: ['ENOTUNIQ', 'name not unique on network'],
  95: ['ENOTSUP', 'operation not supported'],
  116: ['ESTALE', 'stale file handle'],
  117: ['EUCLEAN', 'structure needs cleaning'],
  122: ['EDQUOT', 'disk quota exceeded'],
  123: ['ENOMEDIUM', 'no medium found'],
  124: ['EMEDIUMTYPE', 'wrong medium type'],
  126: ['ENOKEY', 'required key not available'],
}

/** Node makes a new map at each call, which costs more than the system call that failed. */
let nodeErrors: ReadonlyMap<number, readonly [code: string, text: string]> | undefined

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
    const [code, text] = linuxErrors[errno] ??
      (nodeErrors ??= getSystemErrorMap()).get(-errno) ?? [`E${errno}`, `error ${errno}`]
    const subject = context.path === undefined ? '' : ` '${context.path}'`
    const dest = context.dest === undefined ? '' : ` -> '${context.dest}'`
    const note = context.note === undefined ? '' : ` (${context.note})`
    super(`${code}: ${text}, ${context.syscall}${subject}${dest}${note}`)
    this.code = code
    this.errno = -errno
    this.syscall = context.syscall
    if (context.path !== undefined) this.path = context.path
    if (context.dest !== undefined) this.dest = context.dest
  }
}

/** A call that this platform does not have; its `code` is `ENOSYS`. */
export class UnsupportedPlatformError extends SystemError {
  override readonly name = 'UnsupportedPlatformError'

  constructor(
    syscall: string,
    note = `not on ${process.platform} ${process.arch}, only on Linux x64 and arm64`,
  ) {
    super(constants.errno.ENOSYS, { syscall, note })
  }
}

/** Linux has one number for each of these pairs; Node uses the names on the right. */
const synonyms: Readonly<Record<string, string>> = { EOPNOTSUPP: 'ENOTSUP', EWOULDBLOCK: 'EAGAIN' }

/**
 * True for an error of this package or of Node with one of `codes`; without codes, for any failed system call.
 * EOPNOTSUPP and ENOTSUP count as one, as do EWOULDBLOCK and EAGAIN.
 */
export function isSystemError(error: unknown, ...codes: readonly string[]): error is NodeJS.ErrnoException {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return false
  if (codes.length === 0) return 'syscall' in error
  const code = synonyms[error.code] ?? error.code
  return codes.some((wanted) => (synonyms[wanted] ?? wanted) === code)
}

/** Whether a failed call says nothing of what it was made on, but only that this process could not, just then. */
export function isOfTheMoment(error: unknown): boolean {
  return isSystemError(error, 'EINTR', 'EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM')
}
