/** Runs the suite in a guest, on a pool of a blank disk: `node guest-lab.ts DISK [CASE…]`. Prints the report as JSON. */
import { mkdirSync } from 'node:fs'
import {
  allCases,
  CannotRun,
  examine,
  type Lab,
  type Place,
  reportFormat,
  reportText,
  subjectOf,
  type VolumeRequest,
} from '@graphdriver/core/conformance'
import { run } from '@graphdriver/sys'
import zfs from '../dist/index.js'

const [disk = '', ...patterns] = process.argv.slice(2)
const pool = 'lab'
const mounts = '/mnt/lab'

mkdirSync(mounts)
await run('zpool', [
  'create',
  '-f',
  '-O',
  'compression=off',
  '-O',
  'mountpoint=none',
  '-O',
  'xattr=sa',
  '-O',
  'acltype=posix',
  pool,
  disk,
])

let count = 0

/** A dataset of its own for each place, as a host has one for its data root. */
async function place(...properties: readonly string[]): Promise<Place> {
  const name = String(count++)
  const path = `${mounts}/${name}`
  const options = [`mountpoint=${path}`, ...properties].flatMap((property) => ['-o', property])
  await run('zfs', ['create', ...options, `${pool}/${name}`])
  return {
    path,
    async [Symbol.asyncDispose]() {
      await run('zfs', ['destroy', '-r', `${pool}/${name}`])
    },
  }
}

const lab: Lab = {
  name: 'zfs',
  place: () => place(),
  volume({ kind }: VolumeRequest) {
    if (kind === 'small') return place('quota=24M')
    if (kind === 'read-only') return place('readonly=on')
    throw new CannotRun('zfs has no limit of inodes')
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

const cases = allCases.filter(({ id }) => patterns.length === 0 || patterns.some((one) => id.startsWith(one)))
const module = new URL('../dist/index.js', import.meta.url)
const outcome = await examine(subjectOf(zfs, { lab, module }), {
  cases,
  onResult: ({ id, outcome: said, error }) => {
    if (said === 'failed')
      console.error(`${id}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`)
  },
})
process.stdout.write(reportText({ format: reportFormat, runs: [outcome] }))
