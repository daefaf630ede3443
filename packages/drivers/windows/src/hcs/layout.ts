/**
 * What Docker's windowsfilter keeps on disk.
 *
 * ```
 * <root>\windowsfilter\
 *   <id>\
 *     layerchain.json   the folders of all layers below, nearest first; `null` for none
 *     layerId           another name under which the folder is, as Docker once wrote it
 *     Files\ Hives\ UtilityVM\       of an image layer; what Windows makes of an import
 *     bcd.bak, …        files of an import that Windows changes afterwards, as they were
 *     sandbox.vhdx      of a container's layer
 *   <id>-removing\      being deleted
 * ```
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError, type LayerId } from '@graphdriver/core'

const removingSuffix = '-removing'

export function isRemoving(name: string): boolean {
  return name.endsWith(removingSuffix)
}

export function removingFolder(folder: string): string {
  return `${folder}${removingSuffix}`
}

/** The folder of a layer, whether it is there or not. */
export function layerFolder(home: string, id: LayerId): string {
  const folder = path.join(home, id)
  try {
    return path.join(home, readFileSync(path.join(folder, 'layerId'), 'utf8').trim())
  } catch {
    return folder
  }
}

/** One that is being made is none yet. */
export function isLayer(folder: string): boolean {
  return existsSync(chainFile(folder))
}

/** @throws GD_LAYER_NOT_FOUND */
export function findLayer(home: string, id: LayerId): string {
  const folder = layerFolder(home, id)
  if (isLayer(folder)) return folder
  throw new GraphDriverError('GD_LAYER_NOT_FOUND', `windows holds no layer ${id}`, { id })
}

function chainFile(folder: string): string {
  return path.join(folder, 'layerchain.json')
}

/** Folders of the layers below, nearest first. @throws GD_LAYER_CORRUPT */
export function readChain(folder: string): readonly string[] {
  const file = chainFile(folder)
  if (!existsSync(file)) return []
  const corrupt = (cause?: unknown): Error => {
    const id = path.basename(folder)
    return new GraphDriverError(
      'GD_LAYER_CORRUPT',
      `layer ${id}: ${file} is no list of folders`,
      { id, path: file },
      { cause },
    )
  }
  let chain: unknown
  try {
    chain = JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    throw corrupt(error)
  }
  if (chain === null) return []
  if (Array.isArray(chain) && chain.every((one): one is string => typeof one === 'string')) return chain
  throw corrupt()
}

/** As Go writes it. */
export function writeChain(folder: string, chain: readonly string[]): void {
  writeFileSync(chainFile(folder), JSON.stringify(chain.length === 0 ? null : chain), { mode: 0o600 })
}

/** A file of a layer's, by its name in the tar. */
export function fileIn(folder: string, name: string): string {
  return path.join(folder, ...name.split('/'))
}

export function isSandbox(folder: string): boolean {
  return existsSync(sandboxDisk(folder))
}

export function sandboxDisk(folder: string): string {
  return path.join(folder, 'sandbox.vhdx')
}

/** Files of a layer that Windows changes after the import, and where they are kept as they were. */
export const changedByWindows: ReadonlyMap<string, string> = new Map([
  ['utilityvm/files/efi/microsoft/boot/bcd', 'bcd.bak'],
  ['utilityvm/files/efi/microsoft/boot/bcd.log', 'bcd.log.bak'],
  ['utilityvm/files/efi/microsoft/boot/bcd.log1', 'bcd.log1.bak'],
  ['utilityvm/files/efi/microsoft/boot/bcd.log2', 'bcd.log2.bak'],
])
