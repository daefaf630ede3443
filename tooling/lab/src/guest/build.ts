/** Builds what guests run on: `node build.ts DIRECTORY`, under the lock of the cache. */
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { temporaryDirectory } from '@graphdriver/core/conformance'
import { make } from '../cache.ts'
import { PrivateApt } from './apt.ts'
import { buildKernel } from './kernel.ts'
import { unpackZfsTools } from './zfs-tools.ts'

/** Whose newest Linux and ZFS are taken: newer kernels have more processors and faster system calls in user mode. */
const suites = ['trixie', 'trixie-backports']

await make(async (directory) => {
  const start = performance.now()
  await using work = await temporaryDirectory()
  const apt = await PrivateApt.open(path.join(work.path, 'apt'), suites)
  await unpackZfsTools(apt, path.join(directory, 'tools'))
  const versions = await buildKernel(apt, work.path, path.join(directory, 'linux'))
  const seconds = Math.round((performance.now() - start) / 1000)
  await writeFile(path.join(directory, 'manifest.json'), JSON.stringify({ suites, ...versions, seconds }))
})
