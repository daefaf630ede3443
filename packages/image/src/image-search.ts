import { type Digest, GraphDriverError } from '@graphdriver/core'
import type { ReferenceStore } from './reference-store.ts'

/**
 * Which image a person means, in the order of Docker: a whole id, a name, the first digits of an id.
 *
 * @throws GD_IMAGE_AMBIGUOUS
 */
export function findImage(
  word: string,
  ids: readonly Digest[],
  references: Pick<ReferenceStore, 'resolve'> | undefined,
): Digest | undefined {
  const whole = ids.find((id) => id === word || id === `sha256:${word}`)
  return whole ?? byName(word, references) ?? byPrefix(word, ids)
}

function byName(word: string, references: Pick<ReferenceStore, 'resolve'> | undefined): Digest | undefined {
  try {
    return references?.resolve(word)
  } catch {
    // No name, but it may be the beginning of an id, as `sha256:1f` is.
    return undefined
  }
}

function byPrefix(word: string, ids: readonly Digest[]): Digest | undefined {
  if (!/^(?:sha256:)?[0-9a-f]{1,64}$/.test(word)) return undefined
  const prefix = word.startsWith('sha256:') ? word : `sha256:${word}`
  const matches = ids.filter((id) => id.startsWith(prefix))
  if (matches.length < 2) return matches[0]
  const message = `'${word}' is the beginning of ${matches.length} image ids; write more digits`
  throw new GraphDriverError('GD_IMAGE_AMBIGUOUS', message, { reference: word, ids: matches })
}
