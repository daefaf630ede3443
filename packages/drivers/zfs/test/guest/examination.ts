/**
 * Runs the suite in a guest: `node examination.ts disk|file [CASE…]`, on a pool that is /dev/ubdb, or a file of the
 * temporary directory.
 */
import { mkdirSync, mkdtempSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  allCases,
  CannotRun,
  type Lab,
  type Place,
  subjectOf,
  type VolumeRequest,
} from '@graphdriver/core/conformance'
import { mount, MS, run, unmountTree } from '@graphdriver/sys'
import { createDataset } from '@graphdriver/sys/zfs'
import { tellExaminations } from '@tooling/lab/guest-examination'
import zfs from '../../dist/index.js'

const [kind = 'disk', ...patterns] = process.argv.slice(2)
const pool = 'lab'
const mounts = '/mnt/lab'
const gibibyte = 1024 ** 3

/** The kernel opens files from the root that the guest had before this one. */
const before = '/mnt/root'
symlinkSync('/', before)

function fileOf(bytes: number): string {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'pool-')), 'disk')
  writeFileSync(file, '')
  truncateSync(file, bytes)
  return path.join(before, file)
}

const properties = { acltype: 'posix', compression: 'off', mountpoint: 'none', xattr: 'sa' }
/** To make and delete a dataset by a command for every case would take as long as all that the cases do. */
const casesPerPool = 40
let count = 0
const places = new Set<string>()

mkdirSync(mounts)
const device = kind === 'disk' ? '/dev/ubdb' : fileOf(4 * gibibyte)
await makePool(pool, device)

async function makePool(name: string, disk: string, mountpoint = 'none'): Promise<void> {
  const own = Object.entries({ ...properties, mountpoint })
  await run('zpool', [
    'create',
    '-f',
    ...own.flatMap(([key, value]) => ['-O', `${key}=${value}`]),
    name,
    disk,
  ])
}

/** A dataset of its own for each place, as a host has one for its data root. */
async function place(flags = 0): Promise<Place> {
  if (count++ % casesPerPool === casesPerPool - 1 && places.size === 0) {
    await run('zpool', ['destroy', '-f', pool])
    await makePool(pool, device)
  }
  const dataset = `${pool}/${count}`
  const directory = `${mounts}/${count}`
  createDataset(dataset, { mountpoint: 'legacy' })
  mkdirSync(directory)
  mount({ source: dataset, target: directory, type: 'zfs', flags })
  places.add(dataset)
  return {
    path: directory,
    async [Symbol.asyncDispose]() {
      unmountTree(directory)
      places.delete(dataset)
    },
  }
}

/** A pool of its own, as small as they can be. */
async function smallPool(): Promise<Place> {
  const name = `small${count++}`
  const directory = `${mounts}/${name}`
  await makePool(name, fileOf(gibibyte / 16), directory)
  return {
    path: directory,
    async [Symbol.asyncDispose]() {
      await run('zpool', ['destroy', '-f', name])
    },
  }
}

const lab: Lab = {
  name: 'zfs',
  place: () => place(),
  volume({ kind: wanted }: VolumeRequest) {
    if (wanted === 'small') return smallPool()
    if (wanted === 'read-only') return place(MS.RDONLY)
    throw new CannotRun('zfs has no limit of inodes')
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

const cases = allCases.filter(({ id }) => patterns.length === 0 || patterns.some((one) => id.startsWith(one)))
const module = new URL('../../dist/index.js', import.meta.url)
const name = kind === 'disk' ? 'zfs on a disk' : 'zfs on a file'
await tellExaminations({ subject: subjectOf(zfs, { name, lab, module }), cases })
