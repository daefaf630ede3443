import { defineDriver, type DriverDefinition, driverApiVersion } from '@graphdriver/core'
import { parseOptions, type WindowsOptions } from './options.ts'

export type { WindowsOptions } from './options.ts'

const isWindows = process.platform === 'win32'

/** Each platform loads its own engine only. */
const definition: DriverDefinition<WindowsOptions> = defineDriver({
  // Docker's name of it, and of its directory.
  name: isWindows ? 'windowsfilter' : 'windows',
  apiVersion: driverApiVersion,
  platforms: ['linux', 'win32'],
  summary: 'layers of Windows containers: by Windows’ own calls, or on Linux on an NTFS that ntfs-3g serves',
  opensReadOnly: !isWindows,
  parse: (options) => parseOptions(options, process.platform),
  async probe(host) {
    if (isWindows) return (await import('./hcs/open.ts')).probeHcs(host)
    return (await import('./ntfs/probe.ts')).probeNtfs(host)
  },
  async open(host) {
    if (isWindows) return (await import('./hcs/open.ts')).openHcs(host)
    return (await import('./ntfs/open.ts')).openNtfs(host)
  },
})

export default definition
