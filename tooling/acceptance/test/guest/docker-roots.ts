/** In a guest: `node docker-roots.ts devicemapper|zfs` shows what dockerd and this project make of each other's roots. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { run } from '@graphdriver/sys'
import { debianImage } from '@tooling/lab'
import { containerGoesOn, dockerServesOurs, type Roots, weServeDockers } from '../../src/docker-roots.ts'

const [driver = ''] = process.argv.slice(2)
const scenarios = { dockerServesOurs, weServeDockers, containerGoesOn }

const options: Readonly<Record<string, readonly string[]>> = {
  // There is no udev in a guest.
  devicemapper: ['dm.override_udev_sync_check=true'],
}

async function freshRoot(name: string): Promise<string> {
  const directory = mkdtempSync(path.join(tmpdir(), 'roots-'))
  if (driver !== 'zfs') return path.join(directory, 'root')
  const mountpoint = path.join('/mnt', name)
  await run('zfs', ['create', '-o', `mountpoint=${mountpoint}`, `roots/${name}`])
  return mountpoint
}

if (driver === 'zfs')
  await run('zpool', ['create', '-O', 'mountpoint=none', '-O', 'xattr=sa', 'roots', '/dev/ubdb'])
const image = await debianImage()
for (const [name, show] of Object.entries(scenarios)) {
  const scratch = mkdtempSync(path.join(tmpdir(), 'scratch-'))
  const roots: Roots = {
    place: { root: await freshRoot(name), driver },
    image,
    scratch,
    daemonOptions: (options[driver] ?? []).map((option) => `--storage-opt=${option}`),
  }
  await show(roots)
  console.log(name)
}
