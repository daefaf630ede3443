import { pushImage, type PushedImage, type PushProgress } from '@graphdriver/image'
import type { Invocation } from '../invocation.ts'
import { imageNotFound } from '../not-found.ts'
import { openProgress } from '../progress.ts'
import { formatBytes, plural, shortDigest } from '../quantity.ts'
import { Session } from '../session.ts'

export interface PushFlags {
  readonly plainHttp?: boolean
}

/** `graphdriver push IMAGE [NAME]`: to the registry that its name, or the other one, says. */
export async function push(
  invocation: Invocation,
  word: string,
  as: string | undefined,
  { plainHttp }: PushFlags,
): Promise<void> {
  await using session = await Session.openExisting(invocation)
  if (session === undefined) throw imageNotFound(word)
  const { signal, settings } = invocation
  // Layers are read for long, and nobody is kept out: one that is removed meanwhile is told as missing.
  const pushed = await session.reading(async (stores) => {
    const image = await stores.images.find(word, stores.references)
    using progress = await openProgress(settings.progress && !settings.json)
    const onProgress = ({ digest, index, count, state, bytes }: PushProgress): void => {
      const label = `layer ${index + 1}/${count} ${shortDigest(digest)}`
      if (state === 'start') progress.start(digest, label, bytes)
      else progress.finish(digest, label, state === 'exists' ? 'already there' : formatBytes(bytes))
    }
    return await pushImage(stores, image.id, as ?? word, { plainHttp, signal, onProgress })
  })
  invocation.output.result(pushed, () => line(pushed))
}

function line({ name, digest, layers, sent }: PushedImage): string {
  const fresh = sent === layers ? '' : `, ${sent} new`
  return `pushed ${name} ${shortDigest(digest)} (${plural(layers, 'layer')}${fresh})\n`
}
