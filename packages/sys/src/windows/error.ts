/** What calls of Windows answer when they fail. */
import type { SystemErrorContext } from '../error.ts'

/** Errors that have a name with libuv and Node have it here too. @see winerror.h */
const nodeCodes: Readonly<Record<number, string>> = {
  2: 'ENOENT',
  3: 'ENOENT',
  5: 'EACCES',
  32: 'EBUSY',
  33: 'EBUSY',
  50: 'ENOTSUP',
  80: 'EEXIST',
  87: 'EINVAL',
  112: 'ENOSPC',
  145: 'ENOTEMPTY',
  183: 'EEXIST',
  1314: 'EPERM',
}

export const win32 = {
  fileNotFound: 2,
  pathNotFound: 3,
  accessDenied: 5,
  notReady: 21,
  deviceNotThere: 55,
  sharingViolation: 32,
  notAllAssigned: 1300,
} as const

/** A failed call of Windows, in the shape of Node's own errors: `code`, `syscall`, `path`; and what Windows calls it. */
export class WindowsError extends Error {
  override readonly name = 'WindowsError'
  /** Node's code where it has one, else `WIN32_<number>` or `HRESULT_<hex>`. */
  readonly code: string
  /** The Win32 error; undefined for an HRESULT that is none. */
  readonly win32: number | undefined
  readonly syscall: string
  readonly path?: string

  constructor(win32Error: number | undefined, hresult: number, context: SystemErrorContext) {
    const hex = hresult.toString(16).padStart(8, '0')
    const code =
      win32Error === undefined ? `HRESULT_${hex}` : (nodeCodes[win32Error] ?? `WIN32_${win32Error}`)
    const subject = context.path === undefined ? '' : ` '${context.path}'`
    const note = context.note === undefined ? '' : ` (${context.note})`
    const number = win32Error === undefined ? `0x${hex}` : `error ${win32Error}`
    super(`${code}: ${number} of Windows, ${context.syscall}${subject}${note}`)
    this.code = code
    this.win32 = win32Error
    this.syscall = context.syscall
    if (context.path !== undefined) this.path = context.path
  }
}

/** FACILITY_WIN32 with the bit of a failure: the Win32 error is in the low half. */
const facilityMask = 0x1fff_0000
const facilityWin32 = 0x0007_0000

/** @param hresult as the call returned it, negative */
export function fromHresult(hresult: number, context: SystemErrorContext): WindowsError {
  const isWin32 = (hresult & facilityMask) === facilityWin32
  return new WindowsError(isWin32 ? hresult & 0xffff : undefined, hresult >>> 0, context)
}

export function fromWin32(error: number, context: SystemErrorContext): WindowsError {
  return new WindowsError(error, (0x8007_0000 | error) >>> 0, context)
}

export function isWindowsError(error: unknown, ...errors: readonly number[]): error is WindowsError {
  if (!(error instanceof WindowsError)) return false
  return errors.length === 0 || (error.win32 !== undefined && errors.includes(error.win32))
}
