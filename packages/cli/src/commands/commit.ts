import { commitImage, parseReference } from '@graphdriver/image'
import type { Invocation } from '../invocation.ts'
import { imageNotFound } from '../not-found.ts'
import { formatBytes, shortDigest } from '../quantity.ts'
import { Session } from '../session.ts'

export interface CommitFlags {
  readonly author?: string
  readonly message?: string
}

/** `graphdriver commit NAME [IMAGE]`: an image of what was written to a writable layer. */
export async function commit(
  invocation: Invocation,
  name: string,
  image: string | undefined,
  { author, message }: CommitFlags,
): Promise<void> {
  // Refused before anything is made.
  if (image !== undefined) parseReference(image)
  await using session = await Session.openExisting(invocation)
  if (session === undefined) throw imageNotFound(name)
  const { signal } = invocation
  const made = await session.changing(async ({ layers, images, references }) => {
    const writable = await layers.getRWLayer(name)
    const committed = await commitImage(writable, images, { author, comment: message, signal })
    if (image !== undefined) await references.tag(image, committed.id)
    return committed
  })
  invocation.output.result({ id: made.id, name: image, size: made.size }, () => {
    const named = image === undefined ? '' : `${image} `
    return `committed ${named}${shortDigest(made.id)} (${formatBytes(made.size)})\n`
  })
}
