import { TarParser } from '../tar/parser.ts'
import { Extractor } from './extractor.ts'
import type { ApplyRequest, ApplyResult } from './options.ts'

/** Hands a source's bytes on, from its beginning to its end; the views are valid only during the call. */
export type Drain = (take: (view: Uint8Array) => void) => void

/**
 * Extracts an uncompressed layer tar into a directory, blocking the thread. On failure the tree is left half made.
 *
 * @param check throws when the work is no longer wanted
 * @throws GD_ARCHIVE_INVALID, GD_ARCHIVE_BREAKOUT, GD_ARCHIVE_UNSUPPORTED, SystemError (`ENOSPC` and the like)
 */
export function applyTar(request: ApplyRequest, drain: Drain, check: () => void): ApplyResult {
  using extractor = new Extractor(request, check)
  const parser = new TarParser(extractor, request.limits)
  drain((view) => parser.push(view))
  parser.finish()
  return extractor.finish()
}
