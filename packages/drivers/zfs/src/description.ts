/** What is told of the pool and the dataset, with Docker's words. */
import type { StatusRow } from '@graphdriver/core'
import { type MountEntry, mountHolders } from '@graphdriver/sys'
import { datasetsIn, poolOf, readProperties } from '@graphdriver/sys/zfs'
import { removedPrefix } from './layout.ts'
import { poolHealth } from './pool.ts'

/** The rows of `docker info`, and what cannot be deleted yet, with who is in the way. */
export async function describeDataset(filesystem: string): Promise<readonly StatusRow[]> {
  const properties = readProperties(filesystem)
  const text = (name: string): string => {
    const value = properties?.get(name)
    return value === undefined ? '' : String(value)
  }
  const quota = text('quota')
  return [
    ['Zpool', poolOf(filesystem)],
    ['Zpool Health', (await poolHealth(filesystem)) ?? 'not available'],
    ['Parent Dataset', filesystem],
    ['Space Used By Parent', text('used')],
    ['Space Available', text('available')],
    ['Parent Quota', quota === '' || quota === '0' ? 'no' : quota],
    ['Compression', compressionOf(properties?.get('compression'))],
    ...datasetsIn(filesystem)
      .filter((dataset) => dataset.startsWith(`${filesystem}/${removedPrefix}`))
      .map((dataset): StatusRow => [
        'Removed, in use',
        `${dataset}: ${mountHolders(isOf(dataset)).join(', ') || 'an open file'}`,
      ]),
  ]
}

function isOf(dataset: string): (mount: MountEntry) => boolean {
  return ({ type, source }) => type === 'zfs' && source === dataset
}

/** What a property is not set to is not told: then it is the default. */
function compressionOf(value: unknown): string {
  if (typeof value !== 'bigint') return 'on'
  const number = Number(value)
  if (number >= 5 && number <= 13) return `gzip-${number - 4}`
  return (
    { 0: 'inherit', 1: 'on', 2: 'off', 3: 'lzjb', 4: 'empty', 14: 'zle', 15: 'lz4', 16: 'zstd' }[number] ??
    String(value)
  )
}
