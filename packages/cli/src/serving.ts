/** What commands have in common that serve until they are told to end. */
import { once } from 'node:events'
import { GraphDriverError } from '@graphdriver/core'
import { UsageError } from './failure.ts'
import type { Invocation } from './invocation.ts'

/** @throws GD_MISSING_PREREQUISITE for anybody but root; UsageError with `--read-only` */
export function requireServing({ settings }: Invocation, command: string, engine: string): void {
  if (settings.readOnly) throw new UsageError(`${command} serves layers to be written; leave out --read-only`)
  if (process.geteuid?.() === 0) return
  const message = `${command} mounts for ${engine} and lets nobody else in; run it as root`
  throw new GraphDriverError('GD_MISSING_PREREQUISITE', message, { missing: 'root' })
}

export async function untilEnded(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}
