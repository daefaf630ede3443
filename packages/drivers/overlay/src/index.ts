import { defineDriver, type DriverDefinition, driverApiVersion } from '@graphdriver/core'
import { openOverlay } from './open.ts'
import { type LegacyOverlayOptions, parseOptions } from './options.ts'
import { probe } from './probe.ts'

export type { LegacyOverlayOptions } from './options.ts'

const definition: DriverDefinition<LegacyOverlayOptions> = defineDriver({
  name: 'overlay',
  apiVersion: driverApiVersion,
  platforms: ['linux'],
  summary:
    'whole trees that share files by hard links, one overlay mount per container; the driver of old Docker roots',
  opensReadOnly: true,
  parse: parseOptions,
  probe,
  open: openOverlay,
})

export default definition
