import type { CallOptions, TarStream } from '@graphdriver/core'
import type { ArchiveLimits } from '../tar/limits.ts'
import { TarSplitter } from './splitter.ts'

export interface SplitOptions extends CallOptions {
  readonly limits?: Partial<ArchiveLimits> | undefined
}

/** Where a recipe goes: each chunk holds whole or partial lines and is not reused. */
export interface TarSplitSink {
  write(lines: Uint8Array): void
}

/**
 * Passes a tar through unchanged and writes its uncompressed tar-split recipe on the way. The recipe is complete
 * when the stream has ended, and worthless when it was left early.
 *
 * @throws GD_ARCHIVE_INVALID while iterating
 */
export async function* splitTar(
  tar: TarStream,
  sink: TarSplitSink,
  options: SplitOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const splitter = new TarSplitter((lines) => sink.write(lines), options.limits)
  for await (const chunk of tar) {
    options.signal?.throwIfAborted()
    splitter.push(chunk)
    yield chunk
  }
  splitter.finish()
}
