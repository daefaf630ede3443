/**
 * Runs the suite in a guest: `node examination.ts files|disks ext4|xfs [CASE…]`, with the pool in files of the temporary
 * directory, or in slices of /dev/ubdb.
 */
import { closeSync, mkdtempSync, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import {
  allCases,
  CannotRun,
  type ConformanceCase,
  type Lab,
  type Place,
  subjectOf,
  temporaryLab,
  type VolumeRequest,
} from '@graphdriver/core/conformance'
import type { DriverOptions } from '@graphdriver/core'
import { attachLoop } from '@graphdriver/sys'
import {
  activateDevice,
  deviceNode,
  deviceNumber,
  removeDevice,
  sendMessage,
} from '@graphdriver/sys/devicemapper'
import { type Examination, tellExaminations } from '@tooling/lab/guest-examination'
import devicemapper from '../../dist/index.js'

const [kind = 'files', type = 'ext4', ...patterns] = process.argv.slice(2)

const disk = '/dev/ubdb'
const sectorsOf = { metadata: (32 * 1024 * 1024) / 512, data: (2 * 1024 * 1024 * 1024) / 512 }

interface Slices extends Disposable {
  readonly options: DriverOptions
}

let taken = 0

/** Two slices of the disk. */
function takeSlices(slot: number): Slices {
  const place = String(taken++)
  let start = slot * (sectorsOf.metadata + sectorsOf.data)
  const take = (of: 'metadata' | 'data'): string => {
    const [name, length] = [`lab-${place}-${of}`, sectorsOf[of]]
    const state = activateDevice(name, [{ start: 0, length, type: 'linear', params: `${disk} ${start}` }])
    start += length
    return deviceNode(state)
  }
  const [metadata, data] = [take('metadata'), take('data')]
  clear(metadata)
  return {
    options: { 'dm.metadatadev': metadata, 'dm.datadev': data },
    [Symbol.dispose]() {
      for (const part of ['metadata', 'data']) removeDevice(`lab-${place}-${part}`, { deferred: true })
    },
  }
}

/** What a case before had there would be another's pool. */
function clear(device: string): void {
  const fd = openSync(device, 'r+')
  writeSync(fd, Buffer.alloc(4096))
  closeSync(fd)
}

/** Slices of its own for each data root. */
function devicesLab(): Lab {
  const directories = temporaryLab(type)
  const slices = new Map<string, Slices & { readonly slot: number }>()
  const freeSlot = (): number => {
    const used = new Set([...slices.values()].map(({ slot }) => slot))
    let slot = 0
    while (used.has(slot)) slot++
    return slot
  }
  return {
    ...directories,
    async place(): Promise<Place> {
      const place = await directories.place()
      return {
        path: place.path,
        async [Symbol.asyncDispose]() {
          for (const [root, own] of slices) {
            if (!root.startsWith(`${place.path}/`)) continue
            own[Symbol.dispose]()
            slices.delete(root)
          }
          await place[Symbol.asyncDispose]()
        },
      }
    },
    async optionsAt(root: string): Promise<DriverOptions> {
      let own = slices.get(root)
      if (own === undefined) {
        const slot = freeSlot()
        own = { ...takeSlices(slot), slot }
        slices.set(root, own)
      }
      return own.options
    },
  }
}

const common: DriverOptions = {
  'dm.fs': type,
  ...(kind === 'files' ? { 'dm.loopdatasize': '4G', 'dm.loopmetadatasize': '32M' } : {}),
}
/** Small filesystems of ext4 have small blocks, and these less room for attributes; small ones of xfs are for tests only. */
const mkfsarg = type === 'ext4' ? '-b 4096' : '--unsupported'
/** The journal that is usual is most of what a pool has to write for a case. */
const journal = type === 'ext4' ? '-J size=4 -N 32768 -E nodiscard,lazy_itable_init=1' : '-l size=8m'
const standard: DriverOptions = {
  ...common,
  'dm.basesize': type === 'ext4' ? '256M' : '320M',
  'dm.mkfsarg': `${mkfsarg} ${journal}`,
}
/** A layer's size is at least the base device's. */
const small: DriverOptions = {
  ...common,
  'dm.basesize': type === 'ext4' ? '16M' : '24M',
  'dm.mkfsarg': mkfsarg,
}
process.removeAllListeners('warning')
keepCaches()

/** A pool with a device that nobody uses: the kernel keeps what all pools share while there is one. */
function keepCaches(): void {
  const directory = mkdtempSync(path.join(tmpdir(), 'keeper-'))
  const [metadata, data] = ['metadata', 'data'].map((name) => {
    const file = path.join(directory, name)
    writeFileSync(file, '')
    truncateSync(file, 16 * 1024 * 1024)
    return attachLoop(file).path
  })
  const pool = activateDevice('lab-keeper-pool', [
    { start: 0, length: 32_768, type: 'thin-pool', params: `${metadata} ${data} 128 0 1 skip_block_zeroing` },
  ])
  sendMessage('lab-keeper-pool', 'create_thin 1')
  const params = `${deviceNumber(pool)} 1`
  activateDevice('lab-keeper', [{ start: 0, length: 128, type: 'thin', params }])
}

/** How much there is of space and of inodes says the pool and each layer's own filesystem, not that of the root. */
function bounded(lab: Lab): Lab {
  return {
    ...lab,
    volume(request: VolumeRequest) {
      if (request.kind === 'read-only') return lab.volume(request)
      throw new CannotRun(
        'layers are not kept in the filesystem of the data root: full pools are tests of their own',
      )
    },
  }
}

const wanted = allCases.filter(
  ({ id }) => patterns.length === 0 || patterns.some((one) => id.startsWith(one)),
)
const isQuota = ({ id }: ConformanceCase): boolean => id.startsWith('quota/')
const module = new URL('../../dist/index.js', import.meta.url)
const lab = bounded(kind === 'files' ? temporaryLab(type) : devicesLab())
const deviations = {
  'restart/home-emptied': 'a pool that holds something, and of which nothing is recorded, is not taken',
}

function examination(options: DriverOptions, cases: readonly ConformanceCase[]): Examination {
  const name = kind === 'files' ? 'devicemapper in files' : 'devicemapper on disks'
  const known = kind === 'files' ? {} : deviations
  return { subject: subjectOf(devicemapper, { name, lab, module, options, deviations: known }), cases }
}

await tellExaminations(
  examination(
    standard,
    wanted.filter((one) => !isQuota(one)),
  ),
  examination(small, wanted.filter(isQuota)),
)
