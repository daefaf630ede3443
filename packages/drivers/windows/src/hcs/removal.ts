/** Deletes layers as Docker does: nothing but Windows itself deletes a layer's files, which no list of access hinders. */
import { existsSync, readdirSync, renameSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError, type LayerId } from '@graphdriver/core'
import { isSystemError } from '@graphdriver/sys'
import { detachDisk, isWindowsError, type WindowsLayers } from '@graphdriver/sys/windows'
import { isRemoving, removingFolder, sandboxDisk } from './layout.ts'

/** Takes a layer out of sight, then deletes it. Success when there is none. @throws GD_LAYER_IN_USE */
export async function removeLayer(layers: WindowsLayers, id: LayerId, folder: string): Promise<void> {
  await demandUnused(layers, id)
  const hidden = removingFolder(folder)
  // What is left of a removal that did not end has the name.
  if (existsSync(hidden)) await layers.destroy(hidden)
  if (!(await hide(folder, hidden))) return
  await layers.destroy(hidden)
}

/** Virtual machines that wait to be copied have files of a layer open. */
async function demandUnused(layers: WindowsLayers, id: LayerId): Promise<void> {
  const systems: unknown = JSON.parse(await layers.computeSystems())
  const users = (Array.isArray(systems) ? systems : []).filter(
    (system: Readonly<Record<string, unknown>>) =>
      system['IsRuntimeTemplate'] === true && JSON.stringify(system['RuntimeImagePath'] ?? '').includes(id),
  )
  if (users.length === 0) return
  const names = users.map((system: Readonly<Record<string, unknown>>) => String(system['Id']))
  throw new GraphDriverError(
    'GD_LAYER_IN_USE',
    `layer ${id} is in use by the virtual machines ${names.join(', ')}, which wait to be copied; end those first`,
    { id, users: names },
  )
}

/** @returns false when there is nothing */
async function hide(folder: string, hidden: string): Promise<boolean> {
  try {
    return rename(folder, hidden)
  } catch (error) {
    // A process that died may have left the disk attached, and Windows holds its file then.
    if (!isSystemError(error, 'EACCES', 'EPERM', 'EBUSY') || !existsSync(sandboxDisk(folder))) throw error
    await detachDisk(sandboxDisk(folder))
    return rename(folder, hidden)
  }
}

function rename(folder: string, hidden: string): boolean {
  try {
    renameSync(folder, hidden)
    return true
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return false
    throw error
  }
}

/** Deletes what earlier removals left; what still cannot be deleted waits for the next time. */
export async function finishRemovals(layers: WindowsLayers, home: string): Promise<void> {
  for (const name of readdirSync(home).filter(isRemoving)) {
    try {
      await layers.destroy(path.join(home, name))
    } catch (error) {
      if (!isWindowsError(error)) throw error
    }
  }
}
