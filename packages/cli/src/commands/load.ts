import { hostPlatform, type LoadedImage, parsePlatform, type Platform } from '@graphdriver/image'
import { UsageError } from '../failure.ts'
import { loadSource, openSources } from '../image-loading.ts'
import type { Invocation } from '../invocation.ts'
import { formatBytes, plural, shortDigest } from '../quantity.ts'
import { requirePrivileges, Session } from '../session.ts'

export interface LoadFlags {
  readonly platform?: string
}

/** `graphdriver load FILE…` */
export async function load(
  invocation: Invocation,
  files: readonly string[],
  flags: LoadFlags = {},
): Promise<void> {
  const platform = platformOf(invocation, flags)
  await requirePrivileges(invocation)
  await using opened = await openSources(files, invocation, platform)
  await using session = await Session.open(invocation)
  const images: LoadedImage[] = []
  for (const source of opened.sources) images.push(...(await loadSource(source, session, invocation)))
  invocation.output.result({ driver: session.driver.name, images }, () => images.map(line).join(''))
}

/** Who names the driver for layers of Windows has images of Windows. */
function platformOf({ settings }: Invocation, { platform: asked }: LoadFlags): Platform | undefined {
  if (asked === undefined)
    return settings.driver === 'windows' ? { ...hostPlatform(), os: 'windows' } : undefined
  const platform = parsePlatform(asked)
  if (platform === undefined)
    throw new UsageError(
      `--platform '${asked}' is no platform; one is written as linux/amd64 or linux/arm/v7`,
    )
  return platform
}

function line({ id, names, layers, loaded, size }: LoadedImage): string {
  const name = names.length === 0 ? '' : `${names.join(', ')} `
  const fresh = loaded === layers ? '' : `, ${loaded} new`
  return `loaded ${name}${shortDigest(id)} (${plural(layers, 'layer')}${fresh}, ${formatBytes(size)})\n`
}
