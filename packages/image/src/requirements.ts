/** What has to hold between the parts of an image before any of it is used. */
import { GraphDriverError } from '@graphdriver/core'
import type { ImageConfig } from './image-config.ts'
import { invalidImage } from './invalid-image.ts'
import { formatPlatform, type Platform, platformRank } from './platform.ts'

/** @throws GD_IMAGE_INVALID */
export function requireLayerCount(config: ImageConfig, found: number, source: string): void {
  const expected = config.rootfs.diff_ids.length
  if (found === expected) return
  throw invalidImage(source, `lists ${found} layers where its config has ${expected} in 'rootfs.diff_ids'`)
}

/** @throws GD_IMAGE_INVALID */
export function requireOs(config: ImageConfig, os: string, source: string): void {
  if (config.os === os) return
  throw invalidImage(
    source,
    `is for the operating system '${config.os}'; accepted here is '${os}', unless another platform is asked for`,
  )
}

/** @throws GD_IMAGE_PLATFORM */
export function requireArchitecture(config: ImageConfig, wanted: Platform, source: string): void {
  const offered = platformOf(config)
  if (offered === undefined || platformRank(wanted, offered) !== undefined) return
  throw otherPlatform(source, wanted, [offered])
}

/** `undefined` for an image so old that it does not say. */
export function platformOf(config: ImageConfig): Platform | undefined {
  const { os, architecture, variant } = config
  return architecture === undefined ? undefined : { os, architecture, variant }
}

export function otherPlatform(
  source: string,
  wanted: Platform,
  offered: readonly Platform[],
): GraphDriverError<'GD_IMAGE_PLATFORM'> {
  const platform = formatPlatform(wanted)
  const found = [...new Set(offered.map(formatPlatform))]
  const there = found.length === 0 ? 'nothing' : found.join(', ')
  const message = `image '${source}' is not for ${platform}, but for ${there}; ask for one of these by name`
  return new GraphDriverError('GD_IMAGE_PLATFORM', message, { source, platform, found })
}
