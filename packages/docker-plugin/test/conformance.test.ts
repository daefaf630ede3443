import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemLab } from '@tooling/lab'
import overlay2 from './through/overlay2.ts'
import vfs from './through/vfs.ts'

const drivers = [
  ['overlay2', overlay2],
  ['vfs', vfs],
] as const

for (const [name, driver] of drivers)
  conformance(driver, {
    name: `${name} through a plugin`,
    lab: filesystemLab('ext4'),
    module: new URL(`through/${name}.ts`, import.meta.url),
  })
