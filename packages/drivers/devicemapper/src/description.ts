/** What is told of the pool, in Docker's words and order. */
import type { StatusRow } from '@graphdriver/core'
import { statfs } from '@graphdriver/sys'
import type { DeviceSet } from './device-set.ts'
import type { DeviceMapperHost } from './host.ts'
import { base, isRemovedName } from './layout.ts'
import { readDevice, readDeviceSet, recordNames } from './record.ts'
import type { Space } from './thin-pool.ts'

/** The metadata's blocks, in bytes. */
const metadataBlock = 4096

/** The rows of `docker info`. */
export function describePool(
  { home, pool, options }: DeviceSet,
  { version }: DeviceMapperHost,
): readonly StatusRow[] {
  const status = pool.ensure()
  const blockSize = pool.blockSize()
  const { source } = pool
  return [
    ['Pool Name', pool.name],
    ['Pool Blocksize', humanSize(blockSize)],
    ['Base Device Size', humanSize(readDevice(home, base)?.size ?? 0)],
    ['Backing Filesystem', readDeviceSet(home).BaseDeviceFilesystem],
    ['Udev Sync Supported', 'false'],
    ...sourceRows(),
    ...spaceRows('Data', status.data, blockSize),
    ...spaceRows('Metadata', status.metadata, metadataBlock),
    ['Thin Pool Minimum Free Space', humanSize(pool.reserve('data', status) * blockSize)],
    ['Deferred Removal Enabled', String(options.deferredRemoval)],
    ['Deferred Deletion Enabled', String(options.deferredDeletion)],
    ['Deferred Deleted Device Count', String(recordNames(home).filter((name) => isRemovedName(name)).length)],
    ['Library Version', `none (ioctl, driver ${version})`],
  ]

  function sourceRows(): readonly StatusRow[] {
    if (source.kind === 'given') return []
    const [data, metadata] =
      source.kind === 'files' ? ['Data loop file', 'Metadata loop file'] : ['Data file', 'Metadata file']
    return [
      [data ?? '', source.data],
      [metadata ?? '', source.metadata],
    ]
  }

  function spaceRows(of: string, { used, total }: Space, block: number): readonly StatusRow[] {
    const free = (total - used) * block
    // Files have no more than the filesystem that they are on.
    const available = source.kind === 'files' ? Math.min(free, freeAt(home)) : free
    return [
      [`${of} Space Used`, humanSize(used * block)],
      [`${of} Space Total`, humanSize(total * block)],
      [`${of} Space Available`, humanSize(available)],
    ]
  }
}

function freeAt(directory: string): number {
  const { blockSize, blocksAvailable } = statfs(directory)
  return Number(blocksAvailable) * blockSize
}

/** As Docker writes sizes: four digits, powers of 1000. */
function humanSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let size = bytes
  let unit = 0
  for (; size >= 1000 && unit < units.length - 1; unit++) size /= 1000
  return `${Number(size.toPrecision(4))}${units[unit]}`
}
