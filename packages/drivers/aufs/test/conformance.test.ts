import { readFileSync } from 'node:fs'
import { conformance } from '@graphdriver/core/conformance/vitest'
import { filesystemLab } from '@tooling/lab'
import aufs from '../src/index.ts'
import { hasAufs } from '../src/kernel/host.ts'

const module = new URL('../dist/index.js', import.meta.url)
const report = '.turbo/conformance.json'

for (const kind of ['ext4', 'xfs', 'tmpfs'] as const)
  conformance(aufs, { lab: filesystemLab(kind), options: { engine: 'overlay' }, module, report })

// Where the kernel has it, by itself.
if (hasAufs(readFileSync('/proc/filesystems', 'utf8'))) {
  const options = { engine: 'kernel' }
  for (const kind of ['ext4', 'xfs', 'tmpfs'] as const)
    conformance(aufs, { name: 'aufs (kernel)', lab: filesystemLab(kind), options, module, report })
}
