import { defineDriver, type DriverDefinition, driverApiVersion } from '@graphdriver/core'
import { openOverlay2 } from './open.ts'
import { type Overlay2Options, parseOptions } from './options.ts'
import { probe } from './probe.ts'

export type { Overlay2Options } from './options.ts'

const definition: DriverDefinition<Overlay2Options> = defineDriver({
  name: 'overlay2',
  apiVersion: driverApiVersion,
  platforms: ['linux'],
  summary: "layers stacked by the kernel's overlayfs, on Docker's on-disk format",
  opensReadOnly: true,
  parse: parseOptions,
  probe,
  open: openOverlay2,
})

export default definition
