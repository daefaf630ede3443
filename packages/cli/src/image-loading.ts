import { GraphDriverError } from '@graphdriver/core'
import {
  type ImageSource,
  type LoadedImage,
  loadImages,
  type LoadProgress,
  openImageSource,
  type Platform,
} from '@graphdriver/image'
import type { Invocation } from './invocation.ts'
import { Resources } from './resources.ts'
import { openProgress, type Progress } from './progress.ts'
import { formatBytes, shortDigest } from './quantity.ts'
import type { Session } from './session.ts'

/** Opens image files and reads what images they have, before anything is changed. */
export async function openSources(
  files: readonly string[],
  { settings, signal }: Invocation,
  platform?: Platform,
): Promise<{ readonly sources: readonly ImageSource[] } & AsyncDisposable> {
  await using open = new Resources()
  const sources: ImageSource[] = []
  for (const file of files) {
    const source = open.use(
      await openImageSource(file, { signal, platform, maxExpansion: settings.limits.expansion }),
    )
    const images = await source.images({ signal })
    if (images.length === 0) {
      throw new GraphDriverError('GD_IMAGE_INVALID', `image '${file}' has no image in it`, { source: file })
    }
    sources.push(source)
  }
  const kept = open.move()
  return { sources, [Symbol.asyncDispose]: () => kept[Symbol.asyncDispose]() }
}

/** Loads all images of a source; all or none. */
export async function loadSource(
  source: ImageSource,
  session: Session,
  { settings, signal }: Invocation,
): Promise<readonly LoadedImage[]> {
  using progress = await openProgress(settings.progress && !settings.json)
  const onProgress = (event: LoadProgress): void => show(event, progress)
  return await session.changing((stores) =>
    loadImages(source, stores, { onProgress, maxExpansion: settings.limits.expansion, signal }),
  )
}

function show(event: LoadProgress, progress: Progress): void {
  if (event.kind !== 'layer') return
  const { diffId, index, count, state, bytes = 0, total = 0 } = event
  const label = `layer ${String(index + 1).padStart(String(count).length)}/${count} ${shortDigest(diffId)}`
  if (state === 'start') progress.start(diffId, label, total)
  if (state === 'bytes') progress.advance(diffId, bytes)
  if (state === 'done') progress.finish(diffId, label, formatBytes(total))
  if (state === 'exists') progress.finish(diffId, label, 'already there')
}
