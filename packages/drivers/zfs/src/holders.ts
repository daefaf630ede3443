/** Who keeps a dataset from being deleted: processes that have it mounted in a namespace of their own. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { parseMountInfo } from '@graphdriver/sys'

/** `pid 123 (name)`, one process for each mount namespace in which the dataset is mounted. */
export function holdersOf(dataset: string): readonly string[] {
  const holders = new Map<string, string>()
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const namespace = attempt(() => readlinkSync(`/proc/${pid}/ns/mnt`))
    if (namespace === undefined || holders.has(namespace)) continue
    const mounts = attempt(() => parseMountInfo(readFileSync(`/proc/${pid}/mountinfo`, 'utf8')))
    if (mounts?.some(({ type, source }) => type === 'zfs' && source === dataset) !== true) continue
    const name = attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim()) ?? ''
    holders.set(namespace, `pid ${pid} (${name})`)
  }
  return [...holders.values()]
}

/** Processes end while they are looked at, and some may not be. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
