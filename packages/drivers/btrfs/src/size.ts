/**
 * The size of a layer: what it may write beside what it shares with its parent, limited by its quota group. The number is
 * kept in a file too, as Docker keeps it, since turning quotas off on the filesystem loses the group's.
 */
import { closeSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { GraphDriverError, type LayerId } from '@graphdriver/core'
import { AT_FDCWD, isSystemError, O, openat } from '@graphdriver/sys'
import { enableQuota, limitExclusive, qgroupUsage, subvolumeInfo } from '@graphdriver/sys/btrfs'
import { quotaAt } from './host.ts'
import { layerDirectory, quotaFile, quotasDirectory } from './layout.ts'
import type { BtrfsOptions } from './options.ts'

/**
 * Sees to it that the filesystem counts. It is the user's, and counting costs every write something: it is switched on only
 * for who asked for it.
 *
 * @throws GD_INVALID_OPTION
 */
export function demandQuota(home: string, { minSpace }: BtrfsOptions): void {
  if (quotaAt(home) === true) return
  if (minSpace !== undefined) {
    withDirectory(home, enableQuota)
    return
  }
  throw new GraphDriverError(
    'GD_INVALID_OPTION',
    `option 'size' needs quotas on the btrfs of ${home}: enable them with 'btrfs quota enable ${home}', ` +
      "or let the driver do it with its option 'btrfs.min_space'",
    { option: 'size' },
  )
}

/** Limits a layer, and keeps the number. */
export async function setSize(home: string, id: LayerId, bytes: number): Promise<void> {
  withDirectory(layerDirectory(home, id), (fd) => limitExclusive(fd, bytes))
  await mkdir(quotasDirectory(home), { recursive: true, mode: 0o700 })
  await writeFile(quotaFile(home, id), String(bytes), { mode: 0o644 })
}

/** Limits a layer again that lost its limit with the filesystem's quotas. */
export async function restoreSize(home: string, id: LayerId): Promise<void> {
  const bytes = await keptSize(home, id)
  if (bytes === undefined || quotaAt(home) !== true) return
  withDirectory(layerDirectory(home, id), (fd) => limitExclusive(fd, bytes))
}

/** What a layer shares with no other, as the filesystem has counted; undefined where it does not count. */
export function exclusiveBytes(directory: string): number | undefined {
  const fd = openat(AT_FDCWD, directory, O.RDONLY | O.DIRECTORY | O.NOFOLLOW)
  try {
    return qgroupUsage(fd, subvolumeInfo(fd).id)?.exclusive
  } catch (error) {
    // A plain directory, or nobody who may ask.
    if (isSystemError(error, 'ENOTTY', 'EINVAL', 'EPERM')) return undefined
    throw error
  } finally {
    closeSync(fd)
  }
}

export async function forgetSize(home: string, id: LayerId): Promise<void> {
  await rm(quotaFile(home, id), { force: true })
}

async function keptSize(home: string, id: LayerId): Promise<number | undefined> {
  try {
    const bytes = Number(await readFile(quotaFile(home, id), 'utf8'))
    return Number.isSafeInteger(bytes) && bytes > 0 ? bytes : undefined
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

function withDirectory(directory: string, use: (fd: number) => void): void {
  const fd = openat(AT_FDCWD, directory, O.RDONLY | O.DIRECTORY | O.NOFOLLOW)
  try {
    use(fd)
  } finally {
    closeSync(fd)
  }
}
