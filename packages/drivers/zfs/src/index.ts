import { defineDriver, type DriverDefinition, driverApiVersion } from '@graphdriver/core'
import { openZfs } from './open.ts'
import { parseOptions, type ZfsOptions } from './options.ts'
import { probe } from './probe.ts'

export type { ZfsOptions } from './options.ts'

const definition: DriverDefinition<ZfsOptions> = defineDriver({
  name: 'zfs',
  apiVersion: driverApiVersion,
  platforms: ['linux'],
  summary: 'a dataset per layer and a clone per child, on ZFS',
  opensReadOnly: true,
  parse: parseOptions,
  probe,
  open: openZfs,
})

export default definition
