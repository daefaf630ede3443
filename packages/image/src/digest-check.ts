import { createHash } from 'node:crypto'
import { type Digest, digestOf, GraphDriverError, parseDigest } from '@graphdriver/core'

/** @throws GD_DIGEST_MISMATCH */
export function checkDigest(bytes: Uint8Array, expected: Digest, subject: string): void {
  requireEqual(digestOf(bytes), expected, subject)
}

/** The stream as it is, hashed on the way. @throws GD_DIGEST_MISMATCH after the last byte */
export async function* verified(
  stream: AsyncIterable<Uint8Array>,
  expected: Digest,
  subject: string,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  for await (const chunk of stream) {
    hash.update(chunk)
    yield chunk
  }
  requireEqual(parseDigest(`sha256:${hash.digest('hex')}`), expected, subject)
}

function requireEqual(found: Digest, expected: Digest, subject: string): void {
  if (found === expected) return
  const message = `'${subject}' has the digest ${found} instead of ${expected}; it is damaged, fetch it again`
  throw new GraphDriverError('GD_DIGEST_MISMATCH', message, { subject, expected, found })
}
