/** What commands have in common that serve until they are told to end. */
import { once } from 'node:events'
import { GraphDriverError } from '@graphdriver/core'

/** @throws GD_MISSING_PREREQUISITE for anybody else */
export function requireRoot(command: string, engine: string): void {
  if (process.geteuid?.() === 0) return
  const message = `${command} mounts for ${engine} and lets nobody else in; run it as root`
  throw new GraphDriverError('GD_MISSING_PREREQUISITE', message, { missing: 'root' })
}

export async function untilEnded(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort')
}
