/** A blob of a registry, from its first byte to its last, however often the connection breaks on the way. */
import type { CallOptions } from '@graphdriver/core'
import type { RegistryClient } from './client.ts'
import { registryFailure } from './failure.ts'

/**
 * @param offset of the first byte that is wanted
 * @throws GD_REGISTRY_FAILED when it does not come to its end however often it is asked for
 */
export async function* readBlob(
  client: RegistryClient,
  url: string,
  size: number,
  { signal }: CallOptions,
  offset = 0,
): AsyncGenerator<Uint8Array, void, void> {
  let at = offset
  // Something came since the last failure: then it is worth as many tries again.
  for (let failures = 0; at < size;) {
    const before = at
    let cause: unknown
    try {
      for await (const chunk of piecesFrom(client, url, at, signal)) {
        at += chunk.length
        yield chunk
      }
      if (at >= size) return
    } catch (error) {
      signal?.throwIfAborted()
      if (!isInterruption(error)) throw error
      cause = error
    }
    failures = at > before ? 0 : failures + 1
    if (failures > client.retry.times) {
      const { host } = client.endpoint
      throw registryFailure(
        host,
        'interrupted',
        `registry ${host} sent ${at} of ${size} bytes, and no more; try again`,
        { cause },
      )
    }
    await client.wait(failures, signal)
  }
}

async function* piecesFrom(
  client: RegistryClient,
  url: string,
  at: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  const headers: Record<string, string> = at === 0 ? {} : { range: `bytes=${at}-` }
  const response = await client.request(url, { headers, accepted: [200, 206], signal })
  if (response.body === null) return
  // One that knows no ranges begins anew: what is there already is passed over.
  let skip = response.status === 206 ? 0 : at
  const reader = response.body.getReader()
  try {
    for (;;) {
      const step = await within(client.retry.silence, reader.read(), signal)
      if (step.done) return
      const chunk = step.value.subarray(skip)
      skip = Math.max(0, skip - step.value.length)
      if (chunk.length > 0) yield chunk
    }
  } finally {
    await reader.cancel().catch(() => undefined)
  }
}

class Silence extends Error {}

async function within<T>(
  milliseconds: number,
  promise: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = globalThis.setTimeout(
    () => reject(new Silence(`nothing came for ${milliseconds} ms`)),
    milliseconds,
  )
  const abort = (): void => reject(signal?.reason)
  signal?.addEventListener('abort', abort)
  try {
    return await Promise.race([promise, late])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/** As fetch says that the other end went away in the middle. */
function isInterruption(error: unknown): boolean {
  return (
    error instanceof Silence ||
    (error instanceof TypeError && /terminated|fetch failed|network/i.test(error.message))
  )
}
