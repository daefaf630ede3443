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
import { run } from '@graphdriver/sys'
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

const properties = ['compression=off', 'mountpoint=none', 'xattr=sa', 'acltype=posix']
mkdirSync(mounts)
await makePool(pool, kind === 'disk' ? '/dev/ubdb' : fileOf(4 * gibibyte), properties)

async function makePool(name: string, device: string, own: readonly string[]): Promise<void> {
  await run('zpool', ['create', '-f', ...own.flatMap((property) => ['-O', property]), name, device])
}

let count = 0

/** A dataset of its own for each place, as a host has one for its data root. */
async function place(...own: readonly string[]): Promise<Place> {
  const name = String(count++)
  const directory = `${mounts}/${name}`
  const options = [`mountpoint=${directory}`, ...own].flatMap((property) => ['-o', property])
  await run('zfs', ['create', ...options, `${pool}/${name}`])
  return {
    path: directory,
    async [Symbol.asyncDispose]() {
      await run('zfs', ['destroy', '-r', `${pool}/${name}`])
    },
  }
}

/** A pool of its own, as small as they can be. */
async function smallPool(): Promise<Place> {
  const name = `small${count++}`
  const directory = `${mounts}/${name}`
  const own = properties.map((property) => property.replace(/^mountpoint=.*/, `mountpoint=${directory}`))
  await makePool(name, fileOf(gibibyte / 16), own)
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
    if (wanted === 'read-only') return place('readonly=on')
    throw new CannotRun('zfs has no limit of inodes')
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

const cases = allCases.filter(({ id }) => patterns.length === 0 || patterns.some((one) => id.startsWith(one)))
const module = new URL('../../dist/index.js', import.meta.url)
const name = kind === 'disk' ? 'zfs on a disk' : 'zfs on a file'
await tellExaminations({ subject: subjectOf(zfs, { name, lab, module }), cases })
