/** Who keeps a filesystem from going: of other processes, what `/proc` shows of them. */
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { type MountEntry, readMountTable } from './mount-table.ts'

/** `pid 123 (name)`, one process for each mount namespace in which such a mount is. */
export function mountHolders(isSuch: (mount: MountEntry) => boolean): readonly string[] {
  const holders = new Map<string, string>()
  for (const pid of processes()) {
    const namespace = attempt(() => readlinkSync(`/proc/${pid}/ns/mnt`))
    if (namespace === undefined || holders.has(namespace)) continue
    const mounts = attempt(() => readMountTable(pid))
    if (mounts?.some(isSuch) === true) holders.set(namespace, describe(pid))
  }
  return [...holders.values()]
}

/**
 * `pid 123 (name)`, each process that has something open on a filesystem, mounted or not any more, or its device.
 *
 * @param device as in `st_dev`
 */
export function fileHolders(device: bigint): readonly string[] {
  return processes()
    .filter((pid) => openPlaces(pid).some((place) => isOn(place, device)))
    .map(describe)
}

function processes(): readonly number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger)
}

function openPlaces(pid: number): readonly string[] {
  const files = attempt(() => readdirSync(`/proc/${pid}/fd`)) ?? []
  return [...files.map((file) => `fd/${file}`), 'cwd', 'root', 'exe'].map((place) => `/proc/${pid}/${place}`)
}

function isOn(place: string, device: bigint): boolean {
  const found = attempt(() => statSync(place, { bigint: true }))
  return found !== undefined && (found.dev === device || (found.isBlockDevice() && found.rdev === device))
}

function describe(pid: number): string {
  const name = attempt(() => readFileSync(`/proc/${pid}/comm`, 'utf8').trim()) ?? ''
  return `pid ${pid} (${name})`
}

/** Processes end while they are looked at, and some may not be. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch {
    return undefined
  }
}
