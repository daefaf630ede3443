import { parseReference } from '@graphdriver/image'

/** A name as people write it; undefined for what is none, such as an id. */
export function familiarName(word: string): string | undefined {
  try {
    return parseReference(word).familiar
  } catch {
    return undefined
  }
}
