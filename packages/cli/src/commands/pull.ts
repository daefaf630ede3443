import { type LoadedImage, openRegistrySource } from '@graphdriver/image'
import { loadSource } from '../image-loading.ts'
import type { Invocation } from '../invocation.ts'
import { formatBytes, plural, shortDigest } from '../quantity.ts'
import { requirePrivileges, Session } from '../session.ts'
import { platformOf } from '../wanted-platform.ts'

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
  const { signal } = invocation
  const options = { platform, mirrors: flags.mirror, plainHttp: flags.plainHttp, signal }
  const images: LoadedImage[] = []
  let driver: string | undefined
  for (const name of names) {
    // Nothing is made at the root for an image that is not to be had.
    await using source = await openRegistrySource(name, options)
    await source.images({ signal })
    await using session = await Session.open(invocation)
    driver = session.driver.name
    images.push(...(await loadSource(source, session, invocation)))
  }
  invocation.output.result({ driver, images }, () => images.map(line).join(''))
}

function line({ id, names, layers, loaded, size }: LoadedImage): string {
  const fresh = loaded === layers ? '' : `, ${loaded} new`
  return `pulled ${names.join(', ')} ${shortDigest(id)} (${plural(layers, 'layer')}${fresh}, ${formatBytes(size)})\n`
}
