import { defineDriver, type DriverDefinition, driverApiVersion } from '@graphdriver/core'
import { openNtfs } from './ntfs/open.ts'
import { probeNtfs } from './ntfs/probe.ts'
import { parseOptions, type WindowsOptions } from './options.ts'

export type { WindowsOptions } from './options.ts'

const definition: DriverDefinition<WindowsOptions> = defineDriver({
  name: 'windows',
  apiVersion: driverApiVersion,
  platforms: ['linux'],
  summary: 'layers of Windows containers, kept on an NTFS that ntfs-3g serves',
  opensReadOnly: true,
  parse: parseOptions,
  probe: probeNtfs,
  open: openNtfs,
})

export default definition
