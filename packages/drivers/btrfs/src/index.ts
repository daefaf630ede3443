import { defineDriver, type DriverDefinition, driverApiVersion } from '@graphdriver/core'
import { openBtrfs } from './open.ts'
import { type BtrfsOptions, parseOptions } from './options.ts'
import { probe } from './probe.ts'

export type { BtrfsOptions } from './options.ts'

const definition: DriverDefinition<BtrfsOptions> = defineDriver({
  name: 'btrfs',
  apiVersion: driverApiVersion,
  platforms: ['linux'],
  summary: 'a subvolume per layer and a snapshot per child, on btrfs; sizes by quota groups',
  opensReadOnly: true,
  parse: parseOptions,
  probe,
  open: openBtrfs,
})

export default definition
