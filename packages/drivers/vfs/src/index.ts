import { defineDriver, type DriverDefinition, driverApiVersion } from '@graphdriver/core'
import { openVfs } from './open.ts'
import { parseOptions, type VfsOptions } from './options.ts'
import { probe } from './probe.ts'

export type { VfsOptions } from './options.ts'

const definition: DriverDefinition<VfsOptions> = defineDriver({
  name: 'vfs',
  apiVersion: driverApiVersion,
  platforms: ['linux'],
  summary: 'a full copy per layer, by reflink where the filesystem can; works anywhere',
  opensReadOnly: true,
  parse: parseOptions,
  probe,
  open: openVfs,
})

export default definition
