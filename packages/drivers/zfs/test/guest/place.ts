/** What the scenarios work with, in a guest: a pool that can be broken, and data roots on it. */
import { mkdtempSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Driver, hostOf } from '@graphdriver/core'
import { attachLoop, run } from '@graphdriver/sys'
import {
  activateDevice,
  deviceNode,
  loadTable,
  resumeDevice,
  suspendDevice,
} from '@graphdriver/sys/devicemapper'
import zfs from '../../dist/index.js'

export const pool = 'scenario'
export const root = `/mnt/${pool}`

const mebibyte = 1024 * 1024

export interface Disk {
  readonly node: string
  /** From now on, every read and write fails. */
  break(): void
  mend(): void
}

export function makeDisk(mebibytes: number): Disk {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'disk-')), 'disk')
  writeFileSync(file, '')
  truncateSync(file, mebibytes * mebibyte)
  const length = (mebibytes * mebibyte) / 512
  const linear = { start: 0, length, type: 'linear', params: `${attachLoop(file).path} 0` }
  const put = (type: string, params: string): void => {
    loadTable('disk', [{ ...linear, type, params }])
    suspendDevice('disk')
    resumeDevice('disk')
  }
  return {
    node: deviceNode(activateDevice('disk', [linear])),
    break: () => put('error', ''),
    mend: () => put('linear', linear.params),
  }
}

/** A pool whose own dataset is the data root. */
export async function makePool(mebibytes = 512): Promise<Disk> {
  const disk = makeDisk(mebibytes)
  const properties = ['compression=off', 'xattr=sa', `mountpoint=${root}`]
  await run('zpool', ['create', '-f', ...properties.flatMap((property) => ['-O', property]), pool, disk.node])
  return disk
}

export function open(): Promise<Driver> {
  return zfs.open(hostOf(zfs, { root }))
}

/** All that is in the pool, as its own program lists it, each with some properties. */
export async function listed(...properties: readonly string[]): Promise<readonly string[]> {
  const columns = ['name', ...properties].join(',')
  const { stdout } = await run('zfs', ['list', '-H', '-r', '-t', 'all', '-o', columns, pool])
  return stdout.trimEnd().split('\n')
}
