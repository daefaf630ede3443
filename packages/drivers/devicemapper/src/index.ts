import { defineDriver, type DriverDefinition, driverApiVersion } from '@graphdriver/core'
import { openDeviceMapper } from './open.ts'
import { type DeviceMapperOptions, parseOptions } from './options.ts'
import { probe } from './probe.ts'

export type { DeviceMapperOptions } from './options.ts'

const definition: DriverDefinition<DeviceMapperOptions> = defineDriver({
  name: 'devicemapper',
  apiVersion: driverApiVersion,
  platforms: ['linux'],
  summary: 'a thin device per layer and a thin snapshot per child, in a pool of block devices',
  opensReadOnly: true,
  parse: parseOptions,
  probe,
  open: openDeviceMapper,
})

export default definition
