/** Layers of Windows by the calls of its own DLLs. Layers are named by the whole path of their folder. */
import { existsSync } from 'node:fs'
import { storageLayers } from './computestorage.ts'
import { systemFile } from './library.ts'
import { type ComputeLayers, computeLayers } from './vmcompute.ts'

/** What Windows calls on folders of layers. */
export interface WindowsLayers {
  /** @param parent its name, `''` for a base layer */
  create(layer: string, parent: string): Promise<void>
  /** @param chain folders of the layers below, nearest first; so everywhere */
  createSandbox(layer: string, chain: readonly string[]): Promise<void>
  /** @param bytes of its disk */
  expandSandbox(layer: string, bytes: number): Promise<void>
  activate(layer: string): Promise<void>
  deactivate(layer: string): Promise<void>
  prepare(layer: string, chain: readonly string[]): Promise<void>
  unprepare(layer: string): Promise<void>
  destroy(layer: string): Promise<void>
  /** The folder of an image layer, the volume of a mounted sandbox; `''` where Windows has none to tell. */
  mountPath(layer: string): Promise<string>
  import(layer: string, from: string, chain: readonly string[]): Promise<void>
  export(layer: string, to: string, chain: readonly string[]): Promise<void>
  processBaseImage(folder: string): Promise<void>
  processUtilityImage(folder: string): Promise<void>
  /** What the Host Compute Service has running, as JSON. */
  computeSystems(): Promise<string>
}

/**
 * The calls that Docker makes, or those that Microsoft documents, which Windows has since version 1809. What both make has
 * the same form on disk.
 */
export const layerApis = ['vmcompute', 'computestorage'] as const

export type LayerApi = (typeof layerApis)[number]

/** Whether this Windows has the feature "Containers", and these calls. */
export function hasWindowsLayers(api: LayerApi = 'vmcompute'): boolean {
  return process.platform === 'win32' && existsSync(systemFile(`${api}.dll`))
}

let compute: ComputeLayers | undefined
let storage: WindowsLayers | undefined

/** @throws UnsupportedPlatformError; WindowsError, of every call */
export function windowsLayers(api: LayerApi = 'vmcompute'): WindowsLayers {
  compute ??= computeLayers()
  return api === 'vmcompute' ? compute : (storage ??= storageLayers(compute))
}
