/**
 * Runs the suite in a guest: `node examination.ts disk|file AREA[,AREA…]`, on a pool that is /dev/ubdb, or a file of the
 * temporary directory.
 */
import { mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
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

const [kind = 'disk', areas = ''] = process.argv.slice(2)
const pool = 'lab'
const mounts = '/mnt/lab'
const gibibyte = 1024 ** 3

function device(): string {
  if (kind === 'disk') return '/dev/ubdb'
  const file = path.join(tmpdir(), 'pool')
  writeFileSync(file, '')
  truncateSync(file, 4 * gibibyte)
  // The kernel opens it from the root that the guest had before this one.
  const before = '/mnt/root'
  symlinkSync('/', before)
  return path.join(before, file)
}

const properties = ['compression=off', 'mountpoint=none', 'xattr=sa', 'acltype=posix']
mkdirSync(mounts)
await run('zpool', ['create', '-f', ...properties.flatMap((property) => ['-O', property]), pool, device()])

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

const lab: Lab = {
  name: 'zfs',
  place: () => place(),
  volume({ kind: wanted }: VolumeRequest) {
    if (wanted === 'small') return place('quota=24M')
    if (wanted === 'read-only') return place('readonly=on')
    throw new CannotRun('zfs has no limit of inodes')
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

const wanted = areas.split(',')
const cases = allCases.filter(({ id }) => areas === '' || wanted.includes(id.slice(0, id.indexOf('/'))))
const module = new URL('../../dist/index.js', import.meta.url)
const name = kind === 'disk' ? 'zfs on a disk' : 'zfs on a file'
await tellExaminations({ subject: subjectOf(zfs, { name, lab, module }), cases })
