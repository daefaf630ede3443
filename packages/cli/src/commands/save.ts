import { type SavedImage, saveImages } from '@graphdriver/image'
import { writeBytes } from '../byte-output.ts'
import { familiarName } from '../familiar-name.ts'
import type { Invocation } from '../invocation.ts'
import { imageNotFound } from '../not-found.ts'
import { formatBytes } from '../quantity.ts'
import { Session } from '../session.ts'
import type { Stores } from '../stores.ts'

export interface SaveFlags {
  readonly output?: string
}

/** `graphdriver save IMAGE…`: as one tar, which docker, podman and skopeo read too. */
export async function save(
  invocation: Invocation,
  words: readonly string[],
  flags: SaveFlags,
): Promise<void> {
  await using session = await Session.openExisting(invocation)
  if (session === undefined) throw imageNotFound(words[0] ?? '')
  const { signal, settings, output } = invocation
  const bytes = await session.holding(async (stores) => {
    const saved = await savedImages(words, stores)
    return await writeBytes(saveImages(stores, saved, { signal }), flags.output, signal)
  })
  if (flags.output === undefined || flags.output === '-') return
  if (settings.json) output.result({ file: flags.output, bytes }, () => '')
  else invocation.log.info(`wrote ${formatBytes(bytes)} to ${flags.output}`)
}

/** Under the name by which it was asked for, or all that it has: as Docker does. Each image once. */
async function savedImages(
  words: readonly string[],
  { images, references }: Stores,
): Promise<readonly SavedImage[]> {
  const saved = new Map<SavedImage['id'], Set<string>>()
  for (const word of words) {
    const { id } = await images.find(word, references)
    const all = references.namesOf(id)
    const asked = familiarName(word)
    const names = saved.get(id) ?? new Set()
    for (const name of asked !== undefined && all.includes(asked) ? [asked] : all) names.add(name)
    saved.set(id, names)
  }
  return [...saved].map(([id, names]) => ({ id, names: [...names] }))
}
