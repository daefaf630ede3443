/** What aufs has mounted, as it tells in sysfs: mount(2) may succeed with less than it was asked for. */
import { readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { isSystemError, type MountEntry } from '@graphdriver/sys'

/** Where aufs has a directory for each of its mounts, `si_<hex>`, with a file `br<N>` for each branch. */
export const sysfs = '/sys/fs/aufs'

/** The number of an aufs mount, of its option `si=<hex>`; undefined for what is no aufs. */
export function mountNumber({ type, superOptions }: MountEntry): string | undefined {
  if (type !== 'aufs') return undefined
  return superOptions.find((option) => option.startsWith('si='))?.slice('si='.length)
}

/** Branches as `<path>=<mode>`, the topmost first; empty when the mount is gone. */
export function branchesOf(number: string, directory: string = sysfs): readonly string[] {
  const place = path.join(directory, `si_${number}`)
  const files = namesIn(place)
    .flatMap((name) => /^br(\d+)$/.exec(name)?.[1] ?? [])
    .toSorted((a, b) => Number(a) - Number(b))
  return files.flatMap((index) => readBranch(path.join(place, `br${index}`)) ?? [])
}

/** Whether a mount, of whomever, writes to a directory. aufs itself would let a second one do so too. */
export function isWrittenTo(diff: string, directory: string = sysfs): boolean {
  return namesIn(directory)
    .filter((name) => name.startsWith('si_'))
    .some((name) => branchesOf(name.slice('si_'.length), directory).includes(`${diff}=rw`))
}

const attempts = 50

/** The file is busy while the mount is being changed. */
function readBranch(file: string): string | undefined {
  for (let attempt = 1; ; attempt++) {
    try {
      return readFileSync(file, 'utf8').trimEnd()
    } catch (error) {
      if (isSystemError(error, 'ENOENT')) return undefined
      if (!isSystemError(error, 'EBUSY') || attempt === attempts) throw error
    }
  }
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory)
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return []
    throw error
  }
}
