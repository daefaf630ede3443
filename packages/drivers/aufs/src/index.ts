import { defineDriver, type DriverDefinition, driverApiVersion } from '@graphdriver/core'
import { openAufs } from './open.ts'
import { type AufsOptions, parseOptions } from './options.ts'
import { probe } from './probe.ts'

export type { AufsOptions } from './options.ts'

const definition: DriverDefinition<AufsOptions> = defineDriver({
  name: 'aufs',
  apiVersion: driverApiVersion,
  platforms: ['linux'],
  summary: "Docker's AUFS layers, mounted by aufs or, where the kernel has none, by overlayfs",
  opensReadOnly: true,
  parse: parseOptions,
  probe,
  open: openAufs,
})

export default definition
