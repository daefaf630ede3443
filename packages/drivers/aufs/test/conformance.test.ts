import { readFileSync } from 'node:fs'
import { allCases } from '@graphdriver/core/conformance'
import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemLab } from '@tooling/lab'
import aufs from '../src/index.ts'
import { hasAufs } from '../src/kernel/host.ts'

const module = new URL('../dist/index.js', import.meta.url)
const report = '.turbo/conformance.json'

for (const kind of ['ext4', 'xfs', 'tmpfs'] as const)
  conformance(aufs, { lab: filesystemLab(kind), options: { engine: 'overlay' }, module, report })

// A filesystem in a file for each layer that has a size.
conformance(aufs, {
  name: 'aufs with quota=loop',
  lab: filesystemLab('ext4'),
  options: { engine: 'overlay', quota: 'loop' },
  cases: allCases.filter(({ id }) => /^(?:quota|sizes|restart|leaks)\//.test(id)),
  module,
})

// Where the kernel has it, by itself.
if (hasAufs(readFileSync('/proc/filesystems', 'utf8'))) {
  const options = { engine: 'kernel' }
  for (const kind of ['ext4', 'xfs', 'tmpfs'] as const)
    conformance(aufs, { name: 'aufs (kernel)', lab: filesystemLab(kind), options, module, report })
}
