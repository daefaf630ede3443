import type { Image } from '@graphdriver/image'
import type { Invocation } from '../invocation.ts'
import { formatBytes, shortDigest } from '../quantity.ts'
import { Session } from '../session.ts'
import type { Stores } from '../stores.ts'
import { table } from '../table.ts'

interface ListedImage {
  readonly id: string
  readonly names: readonly string[]
  readonly created: string | undefined
  readonly layers: number
  readonly size: number
  readonly platform: string
}

/** `graphdriver images` */
export async function images(invocation: Invocation): Promise<void> {
  await using session = await Session.openExisting(invocation)
  const found = session === undefined ? [] : await session.reading((stores) => list(stores, invocation))
  invocation.output.result({ images: found }, () =>
    table(['NAME', 'IMAGE', 'CREATED', 'LAYERS', 'SIZE'], found.flatMap(rows)),
  )
}

async function list(stores: Stores, { log }: Invocation): Promise<readonly ListedImage[]> {
  for (const { reason } of stores.images.skipped) log.warn(reason)
  return stores.images.list().map((image) => describe(image, stores))
}

function describe({ id, config, created, size }: Image, { references }: Stores): ListedImage {
  return {
    id,
    names: references.namesOf(id),
    created,
    layers: config.rootfs.diff_ids.length,
    size,
    platform: [config.os, config.architecture, config.variant].filter(Boolean).join('/'),
  }
}

function rows({ id, names, created, layers, size }: ListedImage): readonly (readonly string[])[] {
  const shown = names.length === 0 ? ['<none>'] : names
  return shown.map((name) => [
    name,
    shortDigest(id),
    created?.slice(0, 10) ?? '',
    String(layers),
    formatBytes(size),
  ])
}
