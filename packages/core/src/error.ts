/**
 * The one error of this project: a stable `code` for programs, a message for people, typed details for both.
 *
 * Codes are forever; messages may improve. A message names the object first, then the remedy. Host errors
 * (`ENOSPC`, `EACCES`, …) and abort reasons pass through untouched; when one is translated it becomes `cause`.
 */

/** What each code carries in `details`. The keys of this interface are all the codes there are. */
export interface ErrorDetails {
  /** An id, digest or name that does not have its form. */
  readonly GD_INVALID_ID: { readonly value: string; readonly expected: string }
  /** An option that the driver does not know, or a value that it cannot parse. */
  readonly GD_INVALID_OPTION: { readonly option: string; readonly value?: string | undefined }
  /** No package answers to this driver name. */
  readonly GD_DRIVER_NOT_FOUND: { readonly name: string; readonly tried: readonly string[] }
  /** A package was found but its default export is not a driver definition this core understands. */
  readonly GD_DRIVER_INVALID: { readonly specifier: string }
  /** The driver cannot serve on this host; `reason` is the probe's code. */
  readonly GD_DRIVER_UNSUPPORTED: {
    readonly driver: string
    readonly reason: string
    readonly hint?: string | undefined
  }
  /** No driver could be chosen; every refusal is listed with its reason. */
  readonly GD_NO_DRIVER: {
    readonly root: string
    readonly refusals: readonly { readonly driver: string; readonly reason: string }[]
  }
  /** The root holds the state of several drivers, and guessing could hide images. */
  readonly GD_PRIOR_STATE_AMBIGUOUS: { readonly root: string; readonly drivers: readonly string[] }
  /** The root holds images of another driver than the one asked for. */
  readonly GD_PRIOR_STATE_MISMATCH: {
    readonly root: string
    readonly driver: string
    readonly drivers: readonly string[]
  }
  /** What one driver holds cannot be moved to another: nothing was changed. */
  readonly GD_MIGRATION_REFUSED: {
    readonly from: string
    readonly to: string
    readonly reason: 'space' | 'depth' | 'damage' | 'absent' | 'same' | 'unfinished'
    /** Bytes, where it is for lack of them. */
    readonly needed?: number | undefined
    readonly available?: number | undefined
  }
  /** The driver holds no layer of this id. */
  readonly GD_LAYER_NOT_FOUND: { readonly id: string }
  /** The driver already holds a layer of this id. */
  readonly GD_LAYER_EXISTS: { readonly id: string }
  /** The layer may not be changed or removed while others need it. */
  readonly GD_LAYER_IN_USE: { readonly id: string; readonly users: readonly string[] }
  /** The layer reference was already released, or belongs to another store. */
  readonly GD_LAYER_NOT_RETAINED: { readonly id: string }
  /** The stack of layers is deeper than the driver or the store can mount. */
  readonly GD_MAX_DEPTH: { readonly id: string; readonly depth: number; readonly limit: number }
  /** The filesystem has fewer inodes left than the layer is sure to take; nothing was made. */
  readonly GD_NO_INODES: { readonly id: string; readonly needed: number; readonly free: number }
  /** A pool that layers share has less room than it is to keep free; nothing was made. In the pool's own blocks. */
  readonly GD_NO_SPACE: {
    readonly pool: string
    readonly of: 'data' | 'metadata'
    readonly used: number
    readonly total: number
  }
  /** The pool of block devices that the layers are in is not there, not ours, or can no longer be written. */
  readonly GD_POOL_UNUSABLE: { readonly pool: string; readonly reason: string }
  /** A writable layer of this name exists already. */
  readonly GD_NAME_CONFLICT: { readonly name: string }
  /** No writable layer has this name. */
  readonly GD_WRITABLE_LAYER_NOT_FOUND: { readonly name: string }
  /** A tar that cannot be read: truncated, corrupt, or using what no layer may use. */
  readonly GD_ARCHIVE_INVALID: { readonly entry?: string | undefined; readonly offset?: number | undefined }
  /** A tar entry that would land outside of the layer's root. */
  readonly GD_ARCHIVE_BREAKOUT: { readonly entry: string; readonly target?: string | undefined }
  /** An entry that this filesystem, user namespace or privilege cannot hold. */
  readonly GD_ARCHIVE_UNSUPPORTED: { readonly entry: string; readonly reason: string }
  /** The compression is unknown, or its stream is damaged. */
  readonly GD_COMPRESSION_INVALID: { readonly format: string }
  /** Bytes do not have the digest that was promised. */
  readonly GD_DIGEST_MISMATCH: { readonly subject: string; readonly expected: string; readonly found: string }
  /** Stored layer data no longer reproduces the tar it came from. */
  readonly GD_LAYER_CORRUPT: {
    readonly id: string
    readonly path?: string | undefined
    readonly expected?: string | undefined
    readonly found?: string | undefined
  }
  /** A file that is not an image archive or layout in any format known here. */
  readonly GD_IMAGE_INVALID: { readonly source: string }
  /** The image has no variant for this platform. */
  readonly GD_IMAGE_PLATFORM: {
    readonly source: string
    readonly platform: string
    readonly found: readonly string[]
  }
  /** No image has this name or id. */
  readonly GD_IMAGE_NOT_FOUND: { readonly reference: string }
  /** A registry did not give, or take, what was asked of it. */
  readonly GD_REGISTRY_FAILED: {
    /** Its host; of credentials the file or program that should have them. */
    readonly registry: string
    readonly reason: 'unreachable' | 'unauthorized' | 'not-found' | 'refused' | 'credentials' | 'interrupted'
    readonly status?: number | undefined
  }
  /** A short id that more than one image begins with. */
  readonly GD_IMAGE_AMBIGUOUS: { readonly reference: string; readonly ids: readonly string[] }
  /** The image is still named or used. */
  readonly GD_IMAGE_IN_USE: { readonly reference: string; readonly users: readonly string[] }
  /** A path, in a layer or outside, that cannot be copied from or to. */
  readonly GD_PATH_UNUSABLE: {
    readonly path: string
    readonly reason: 'absent' | 'not-a-directory' | 'is-a-directory'
  }
  /** What is to run cannot be: the image names no command, or a user or group that it does not have. */
  readonly GD_PROCESS_INVALID: {
    readonly field: 'args' | 'user' | 'group'
    readonly value?: string | undefined
  }
  /** A name that is no valid image reference. */
  readonly GD_INVALID_REFERENCE: { readonly reference: string }
  /** The store's own files do not parse. */
  readonly GD_STORE_CORRUPT: { readonly path: string }
  /** Somebody has it for as long as they live: a daemon a data root, a server a socket. */
  readonly GD_IN_USE: { readonly object: string; readonly user: string }
  /** Another process holds the store. */
  readonly GD_STORE_LOCKED: { readonly root: string }
  /** The object was opened for reading only. */
  readonly GD_READ_ONLY: { readonly object: string }
  /** The object was closed before this call. */
  readonly GD_CLOSED: { readonly object: string }
  /** A program or privilege that the operation needs is missing. */
  readonly GD_MISSING_PREREQUISITE: { readonly missing: string }
  /** A worker thread died under its job; what it was doing is incomplete. */
  readonly GD_WORKER_LOST: { readonly reason: string }
}

export type ErrorCode = keyof ErrorDetails

/** Recognises errors across copies of this package, which `instanceof` cannot. */
const brand = Symbol.for('@graphdriver/error')

export class GraphDriverError<Code extends ErrorCode = ErrorCode> extends Error {
  override readonly name = 'GraphDriverError'
  readonly code: Code
  readonly details: ErrorDetails[Code]

  constructor(code: Code, message: string, details: ErrorDetails[Code], options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.details = details
    Object.defineProperty(this, brand, { value: true })
  }
}

/** True for an error of this project, from whichever copy of this package, with one of `codes` if any is given. */
export function isGraphDriverError<Code extends ErrorCode = ErrorCode>(
  error: unknown,
  ...codes: readonly Code[]
): error is GraphDriverError<Code> {
  if (!(error instanceof Error) || !(brand in error)) return false
  if (codes.length === 0) return true
  const wanted: readonly string[] = codes
  return 'code' in error && typeof error.code === 'string' && wanted.includes(error.code)
}
