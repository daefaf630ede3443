import {
  type CallOptions,
  type ChainId,
  type Digest,
  GraphDriverError,
  type WritableLayer,
} from '@graphdriver/core'
import type { ImageStore } from './image-store.ts'
import type { Image } from './image.ts'
import { hostPlatform } from './platform.ts'

export interface CommitOptions extends CallOptions {
  readonly author?: string | undefined
  readonly comment?: string | undefined
  /** When it was made; by default now. */
  readonly created?: Date | undefined
}

/** The part of a config that is changed; all else stays as it is. */
interface RawConfig {
  created?: string
  author?: string
  rootfs?: { type: string; diff_ids: string[] }
  history?: object[]
}

/**
 * Makes an image of what was written to a writable layer, on top of the image that it stands on: its config, with one layer and
 * one line of history more.
 *
 * @throws GD_IMAGE_NOT_FOUND when no image has the layers that it stands on
 */
export async function commitImage(
  writable: WritableLayer,
  images: ImageStore,
  options: CommitOptions = {},
): Promise<Image> {
  const base = writable.parent === undefined ? undefined : imageOf(writable.parent, writable.name, images)
  const layer = await writable.commit(options)
  let image: Image
  try {
    const bytes = base === undefined ? undefined : await images.configBytes(base)
    image = await images.create(configWith(bytes, layer.diffId, options))
  } catch (error) {
    // Nobody else has it.
    await layer.release()
    throw error
  }
  // From here on the image holds it.
  await layer.release()
  return image
}

function imageOf(chainId: ChainId, name: string, images: ImageStore): Digest {
  const found = images.list().find((image) => image.chainId === chainId)
  if (found !== undefined) return found.id
  const message = `writable layer '${name}' stands on ${chainId}, and no image has that; load its image again`
  throw new GraphDriverError('GD_IMAGE_NOT_FOUND', message, { reference: chainId })
}

function configWith(
  bytes: Uint8Array | undefined,
  diffId: string,
  { author, comment, created = new Date() }: CommitOptions,
): Buffer {
  const { os, architecture } = hostPlatform()
  const config = (
    bytes === undefined ? { os, architecture, config: {} } : JSON.parse(Buffer.from(bytes).toString())
  ) as RawConfig
  const time = created.toISOString()
  const by = author ?? config.author
  return Buffer.from(
    JSON.stringify({
      ...config,
      created: time,
      ...(by === undefined ? {} : { author: by }),
      rootfs: { type: 'layers', diff_ids: [...(config.rootfs?.diff_ids ?? []), diffId] },
      history: [
        ...(config.history ?? []),
        {
          created: time,
          created_by: 'graphdriver commit',
          ...(author === undefined ? {} : { author }),
          ...(comment === undefined ? {} : { comment }),
        },
      ],
    }),
  )
}
