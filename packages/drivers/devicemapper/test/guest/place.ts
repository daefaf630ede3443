/** What the scenarios work with, in a guest: data roots with the driver, and pools that are looked at from outside. */
import { mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Driver, type DriverOptions, hostOf } from '@graphdriver/core'
import { run } from '@graphdriver/sys'
import devicemapper from '../../dist/index.js'

export const standard: DriverOptions = {
  'dm.fs': 'ext4',
  'dm.basesize': '32M',
  'dm.loopdatasize': '256M',
  'dm.loopmetadatasize': '8M',
}

/** A fresh directory, for a data root or for files. */
export function freshDirectory(): string {
  return mkdtempSync(path.join(tmpdir(), 'scenario-'))
}

export function openAt(root: string, options: DriverOptions = standard): Promise<Driver> {
  return devicemapper.open(hostOf(devicemapper, { root, options }))
}

export function homeOf(root: string): string {
  return path.join(root, 'devicemapper')
}

/** Names of the device mapper's devices that are there, as its own program lists them. */
export async function devices(): Promise<readonly string[]> {
  const { stdout } = await run('dmsetup', ['ls'])
  return stdout
    .split('\n')
    .map((line) => line.split('\t')[0] ?? '')
    .filter((name) => name !== '' && name !== 'No devices found')
}

/** The numbers of all devices in a pool that is not in use, read from its metadata by the pool's own tools. */
export async function devicesInPool(metadata: string): Promise<readonly number[]> {
  await run('thin_check', [metadata])
  const { stdout } = await run('thin_dump', [metadata])
  return [...stdout.matchAll(/<device dev_id="(\d+)"/g)]
    .map(([, number]) => Number(number))
    .toSorted((a, b) => a - b)
}

/** The numbers in the records of a home. */
export function recordedDevices(root: string): readonly number[] {
  const directory = path.join(homeOf(root), 'metadata')
  return readdirSync(directory)
    .filter((name) => !/^\.|-metadata$/.test(name))
    .map((name) => {
      const record: unknown = JSON.parse(readFileSync(path.join(directory, name), 'utf8'))
      return (record as { readonly device_id: number }).device_id
    })
    .toSorted((a, b) => a - b)
}

/** The text of a record, as it is in the file. */
export function recordText(root: string, name: string): string {
  return readFileSync(path.join(homeOf(root), 'metadata', name), 'utf8')
}
