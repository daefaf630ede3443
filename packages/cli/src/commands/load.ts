import type { LoadedImage } from '@graphdriver/image'
import { loadSource, openSources } from '../image-loading.ts'
import type { Invocation } from '../invocation.ts'
import { formatBytes, plural, shortDigest } from '../quantity.ts'
import { requirePrivileges, Session } from '../session.ts'
import { platformOf } from '../wanted-platform.ts'

export interface LoadFlags {
  readonly platform?: string
}

/** `graphdriver load FILE…` */
export async function load(
  invocation: Invocation,
  files: readonly string[],
  flags: LoadFlags = {},
): Promise<void> {
  const platform = platformOf(invocation, flags.platform)
  await requirePrivileges(invocation)
  await using opened = await openSources(files, invocation, platform)
  await using session = await Session.open(invocation)
  const images: LoadedImage[] = []
  for (const source of opened.sources) images.push(...(await loadSource(source, session, invocation)))
  invocation.output.result({ driver: session.driver.name, images }, () => images.map(line).join(''))
}

function line({ id, names, layers, loaded, size }: LoadedImage): string {
  const name = names.length === 0 ? '' : `${names.join(', ')} `
  const fresh = loaded === layers ? '' : `, ${loaded} new`
  return `loaded ${name}${shortDigest(id)} (${plural(layers, 'layer')}${fresh}, ${formatBytes(size)})\n`
}
