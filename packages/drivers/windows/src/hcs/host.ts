/** Whether this Windows has what layers need, at a place. */
import { lstatSync } from 'node:fs'
import path from 'node:path'
import {
  enableBackupPrivileges,
  hasWindowsLayers,
  isWindowsError,
  type LayerApi,
  volumeFilesystem,
} from '@graphdriver/sys/windows'

/** What was found. */
export interface HostFacts {
  /** vmcompute.dll is there. */
  readonly hasLayers: boolean
  /** The DLL whose calls are to be made is there. */
  readonly hasApi: boolean
  /** As it calls itself; undefined where that could not be told. */
  readonly filesystem: string | undefined
  /** What is in the way of the home, and is no directory. */
  readonly obstacle?: string | undefined
  /** The process may read and write files whatever their lists of access say. */
  readonly isPrivileged: boolean
}

export interface HostRefusal {
  readonly supported: false
  readonly code: 'no-containers' | 'no-api' | 'refs' | 'not-privileged' | 'not-writable'
  readonly reason: string
  readonly hint: string
}

export function factsAt(home: string, api: LayerApi): HostFacts {
  return {
    hasLayers: hasWindowsLayers(),
    hasApi: hasWindowsLayers(api),
    filesystem: orUndefined(() => volumeFilesystem(path.parse(path.resolve(home)).root)),
    obstacle: obstacleAbove(home),
    isPrivileged: orUndefined(() => (enableBackupPrivileges(), true)) ?? false,
  }
}

function obstacleAbove(home: string): string | undefined {
  const found = lstatSync(home, { throwIfNoEntry: false })
  if (found !== undefined) return found.isDirectory() ? undefined : home
  const above = path.dirname(home)
  return above === home ? undefined : obstacleAbove(above)
}

function orUndefined<T>(look: () => T): T | undefined {
  try {
    return look()
  } catch (error) {
    if (isWindowsError(error)) return undefined
    throw error
  }
}

/** Why it cannot be, if it cannot. */
export function refusalOf(
  home: string,
  { hasLayers, hasApi, filesystem, obstacle, isPrivileged }: HostFacts,
): HostRefusal | undefined {
  if (!hasLayers)
    return {
      supported: false,
      code: 'no-containers',
      reason: 'this Windows has no vmcompute.dll: its feature Containers is off',
      hint: 'Enable-WindowsOptionalFeature -Online -FeatureName Containers (Windows Server: Install-WindowsFeature Containers), then restart',
    }
  if (!hasApi)
    return {
      supported: false,
      code: 'no-api',
      reason: 'this Windows has no computestorage.dll, which came with version 1809',
      hint: 'leave the option api at vmcompute',
    }
  if (obstacle !== undefined)
    return {
      supported: false,
      code: 'not-writable',
      reason: `${obstacle} is no directory`,
      hint: 'choose another data root',
    }
  if (filesystem?.toLowerCase() === 'refs')
    return {
      supported: false,
      code: 'refs',
      reason: `${home} is on a ReFS volume, on which Windows keeps no layers`,
      hint: 'put the data root on an NTFS volume',
    }
  if (!isPrivileged)
    return {
      supported: false,
      code: 'not-privileged',
      reason:
        'this process may not restore files (SeBackupPrivilege, SeRestorePrivilege, SeSecurityPrivilege)',
      hint: 'run as an administrator, elevated',
    }
  return undefined
}
