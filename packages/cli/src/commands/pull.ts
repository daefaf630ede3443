import {
  Downloads,
  keptDownloads,
  type LoadedImage,
  mayBeDamage,
  openRegistrySource,
  type Platform,
} from '@graphdriver/image'
import { loadSource } from '../image-loading.ts'
import type { Invocation } from '../invocation.ts'
import { formatBytes, plural, shortDigest } from '../quantity.ts'
import { requirePrivileges, Session } from '../session.ts'
import { platformOf } from '../wanted-platform.ts'
import { downloadsOf } from '../workplace.ts'

export interface PullFlags {
  readonly platform?: string
  readonly mirror?: readonly string[]
  readonly plainHttp?: boolean
}

/** `graphdriver pull IMAGE…`: from a registry, layer by layer as it comes; all of an image or nothing of it. */
export async function pull(
  invocation: Invocation,
  names: readonly string[],
  flags: PullFlags,
): Promise<void> {
  const platform = platformOf(invocation, flags.platform)
  await requirePrivileges(invocation)
  const images: LoadedImage[] = []
  let driver: string | undefined
  for (const name of names) {
    const pulled = await pullOne(invocation, name, { ...flags, platform })
    driver = pulled.driver
    images.push(...pulled.images)
  }
  invocation.output.result({ driver, images }, () => images.map(line).join(''))
}

interface Pulled {
  readonly driver: string
  readonly images: readonly LoadedImage[]
}

type Wanted = Omit<PullFlags, 'platform'> & { readonly platform: Platform | undefined }

/** Goes on from where an earlier pull was interrupted. */
async function pullOne(invocation: Invocation, name: string, wanted: Wanted): Promise<Pulled> {
  const { log, settings } = invocation
  const downloads = new Downloads(downloadsOf(settings.root))
  try {
    const pulled = await pullWith(downloads, invocation, name, wanted)
    await downloads.forget()
    return pulled
  } catch (error) {
    if (mayBeDamage(error)) {
      await downloads.forget()
      if (downloads.resumedBytes === 0) throw error
      log.info(`what an earlier pull had kept of ${name} was damaged, and comes again`)
      return await pullWith(undefined, invocation, name, wanted)
    }
    const kept = await keptDownloads(downloadsOf(settings.root))
    const bytes = kept.reduce((sum, one) => sum + one.bytes, 0)
    if (bytes > 0)
      log.warn(`${formatBytes(bytes)} of what came are kept: pull again goes on from there, gc deletes them`)
    throw error
  }
}

async function pullWith(
  downloads: Downloads | undefined,
  invocation: Invocation,
  name: string,
  { platform, mirror, plainHttp }: Wanted,
): Promise<Pulled> {
  const { signal } = invocation
  const options = { platform, mirrors: mirror, plainHttp, downloads, signal }
  // Nothing is made at the root for an image that is not to be had.
  await using source = await openRegistrySource(name, options)
  await source.images({ signal })
  await using session = await Session.open(invocation)
  const images = await loadSource(source, session, invocation)
  const { resumedBytes = 0 } = downloads ?? {}
  if (resumedBytes > 0)
    invocation.log.info(`${formatBytes(resumedBytes)} of ${name} had come before, and did not again`)
  return { driver: session.driver.name, images }
}

function line({ id, names, layers, loaded, size }: LoadedImage): string {
  const fresh = loaded === layers ? '' : `, ${loaded} new`
  return `pulled ${names.join(', ')} ${shortDigest(id)} (${plural(layers, 'layer')}${fresh}, ${formatBytes(size)})\n`
}
