import { hostPlatform, parsePlatform, type Platform } from '@graphdriver/image'
import { UsageError } from './failure.ts'
import type { Invocation } from './invocation.ts'

/** Who names the driver for layers of Windows has images of Windows. @throws UsageError */
export function platformOf({ settings }: Invocation, asked: string | undefined): Platform | undefined {
  if (asked === undefined)
    return settings.driver === 'windows' ? { ...hostPlatform(), os: 'windows' } : undefined
  const platform = parsePlatform(asked)
  if (platform === undefined)
    throw new UsageError(
      `--platform '${asked}' is no platform; one is written as linux/amd64 or linux/arm/v7`,
    )
  return platform
}
