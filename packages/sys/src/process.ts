/** What this process is, and what the kernel lets it do. */
import { readFileSync } from 'node:fs'
import { release } from 'node:os'

/** Whether ids here are mapped: the first line of /proc/self/uid_map is not the identity (user_namespaces(7)). */
export function inUserNamespace(): boolean {
  const first = readMap('/proc/self/uid_map')[0]
  return first !== undefined && !(first.inside === 0 && first.outside === 0 && first.count === 4294967295)
}

/** One line of a uid_map or gid_map. */
export interface IdRange {
  readonly inside: number
  readonly outside: number
  readonly count: number
}

/** The ranges of a uid_map or gid_map file; empty where the kernel has none. */
function readMap(path: string): readonly IdRange[] {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return []
  }
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [inside, outside, count] = line.trim().split(/\s+/).map(Number)
      return { inside: inside ?? 0, outside: outside ?? 0, count: count ?? 0 }
    })
}

/** The uids and gids that exist in this user namespace. */
export function idMaps(): { readonly uids: readonly IdRange[]; readonly gids: readonly IdRange[] } {
  return { uids: readMap('/proc/self/uid_map'), gids: readMap('/proc/self/gid_map') }
}

/** The running kernel's version; zeros where it is not Linux. */
export function kernelVersion(): { readonly major: number; readonly minor: number } {
  const match = process.platform === 'linux' ? /^(\d+)\.(\d+)/.exec(release()) : null
  return { major: Number(match?.[1] ?? 0), minor: Number(match?.[2] ?? 0) }
}

/** Bits of capabilities(7) that storage needs. */
const capabilityBit = {
  CAP_CHOWN: 0,
  CAP_DAC_OVERRIDE: 1,
  CAP_DAC_READ_SEARCH: 2,
  CAP_FOWNER: 3,
  CAP_FSETID: 4,
  CAP_SETGID: 6,
  CAP_SETUID: 7,
  CAP_LINUX_IMMUTABLE: 9,
  CAP_SYS_MODULE: 16,
  CAP_SYS_RAWIO: 17,
  CAP_SYS_CHROOT: 18,
  CAP_SYS_ADMIN: 21,
  CAP_SYS_RESOURCE: 24,
  CAP_MKNOD: 27,
  CAP_SETFCAP: 31,
  CAP_MAC_ADMIN: 33,
} as const

/** A capability that `hasCapability` knows. */
export type Capability = keyof typeof capabilityBit

/** Whether a capability is in this process's effective set, in its own user namespace. */
export function hasCapability(name: Capability): boolean {
  let status: string
  try {
    status = readFileSync('/proc/self/status', 'utf8')
  } catch {
    return false
  }
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(status)?.[1]
  return effective !== undefined && ((BigInt(`0x${effective}`) >> BigInt(capabilityBit[name])) & 1n) === 1n
}

/** Bytes of a memory page, which bounds the options of mount(2): from the auxiliary vector (getauxval(3)). */
export function getpagesize(): number {
  return (pageSize ??= readPageSize())
}

let pageSize: number | undefined

function readPageSize(): number {
  const AT_PAGESZ = 6n
  try {
    const vector = readFileSync('/proc/self/auxv')
    for (let at = 0; at + 16 <= vector.length; at += 16) {
      if (vector.readBigUInt64LE(at) === AT_PAGESZ) return Number(vector.readBigUInt64LE(at + 8))
    }
  } catch {
    // Not Linux: nobody mounts.
  }
  return 4096
}
