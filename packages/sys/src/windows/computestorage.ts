/**
 * Layers by the calls of computestorage.dll that Microsoft documents, and virtual disks by those of virtdisk.dll. Layers
 * have the form that vmcompute.dll makes: registry hives in a folder, which these calls name "legacy".
 *
 * Base images and their virtual machines stay with vmcompute.dll: HcsSetupBaseOSLayer makes the hives anew, and the layer
 * would not come out as it went in.
 *
 * @see https://learn.microsoft.com/virtualization/api/hcs/reference/apioverview
 */
import { existsSync } from 'node:fs'
import { copyFile, mkdir, rm } from 'node:fs/promises'
import path from 'node:path'
import { VirtualDisk, whileAttached } from './disk.ts'
import { fromHresult } from './error.ts'
import type { WindowsLayers } from './layers.ts'
import { slowCalls, takeString } from './library.ts'
import { type ComputeLayers, oneAfterAnother } from './vmcompute.ts'
import { extendVolume } from './volume.ts'

const signatures = {
  HcsImportLayer: 'str16 layer, str16 folder, str16 data',
  HcsExportLayer: 'str16 layer, str16 folder, str16 data, str16 options',
  HcsExportLegacyWritableLayer: 'str16 volume, str16 layer, str16 folder, str16 data',
  HcsDestroyLayer: 'str16 layer',
  HcsInitializeLegacyWritableLayer: 'str16 volume, str16 layer, str16 data, str16 options',
  HcsAttachLayerStorageFilter: 'str16 volume, str16 data',
  HcsDetachLayerStorageFilter: 'str16 volume',
  HcsGetLayerVhdMountPath: 'intptr_t disk, _Out_ void **path',
} as const

/** What ProcessBaseImage leaves in a base layer: the disk that each container's begins as. */
const blankDisk = 'blank.vhdx'

/** @throws UnsupportedPlatformError; WindowsError, of every call */
export function storageLayers(compute: ComputeLayers): WindowsLayers {
  const natives = slowCalls('computestorage.dll', signatures)
  const call = async (
    name: keyof typeof signatures,
    subject: string,
    ...values: readonly unknown[]
  ): Promise<void> => {
    const hresult = await natives[name](...values)
    if (hresult < 0) throw fromHresult(hresult, { syscall: name, path: subject })
  }
  const dataOf = async (chain: readonly string[]): Promise<string> => {
    const layers: { readonly Id: string; readonly Path: string }[] = []
    for (const folder of chain) layers.push({ Id: guidText(await compute.guidOf(folder)), Path: folder })
    return JSON.stringify({ SchemaVersion: { Major: 2, Minor: 1 }, Layers: layers })
  }
  /** Of a disk that is attached. */
  const volumeOf = async (layer: string, { handle }: VirtualDisk): Promise<string> => {
    const found: unknown[] = [null]
    await call('HcsGetLayerVhdMountPath', layer, handle, found)
    return takeString(found[0]) ?? ''
  }
  const volumeIn = async (layer: string): Promise<string> => {
    using disk = await VirtualDisk.open(diskOf(layer))
    return await volumeOf(layer, disk)
  }
  return {
    ...compute,
    create: (layer) => mkdir(layer),
    async createSandbox(layer, chain) {
      await mkdir(layer)
      try {
        await copyFile(path.win32.join(chain.at(-1) ?? '', blankDisk), diskOf(layer))
        await whileAttached(diskOf(layer), async (disk) =>
          call(
            'HcsInitializeLegacyWritableLayer',
            layer,
            await volumeOf(layer, disk),
            layer,
            await dataOf(chain),
            '',
          ),
        )
      } catch (error) {
        await call('HcsDestroyLayer', layer, layer).catch(() => rm(layer, { recursive: true, force: true }))
        throw error
      }
    },
    async expandSandbox(layer, bytes) {
      await whileAttached(diskOf(layer), async (disk) => {
        await disk.expand(bytes)
        extendVolume(await volumeOf(layer, disk))
      })
    },
    // An image's layer is shown by its folder.
    async activate(layer) {
      if (!isSandbox(layer)) return
      using disk = await VirtualDisk.open(diskOf(layer))
      await disk.attach(true)
    },
    async deactivate(layer) {
      if (!isSandbox(layer)) return
      using disk = await VirtualDisk.open(diskOf(layer))
      await disk.detach()
    },
    async prepare(layer, chain) {
      if (!isSandbox(layer)) return
      const [volume, data] = [await volumeIn(layer), await dataOf(chain)]
      await oneAfterAnother(() => call('HcsAttachLayerStorageFilter', layer, volume, data))
    },
    async unprepare(layer) {
      if (isSandbox(layer)) await call('HcsDetachLayerStorageFilter', layer, await volumeIn(layer))
    },
    destroy: (layer) => call('HcsDestroyLayer', layer, layer),
    mountPath: async (layer) => (isSandbox(layer) ? volumeIn(layer) : ''),
    import: async (layer, from, chain) => call('HcsImportLayer', layer, layer, from, await dataOf(chain)),
    async export(layer, to, chain) {
      const data = await dataOf(chain)
      if (isSandbox(layer))
        await call('HcsExportLegacyWritableLayer', layer, await volumeIn(layer), layer, to, data)
      else await call('HcsExportLayer', layer, layer, to, data, '{}')
    },
  }
}

function diskOf(layer: string): string {
  return path.win32.join(layer, 'sandbox.vhdx')
}

function isSandbox(layer: string): boolean {
  return existsSync(diskOf(layer))
}

/** The first three parts of a GUID are numbers, with the low byte first. */
function guidText(guid: Buffer): string {
  const numbers = [guid.readUInt32LE(0), guid.readUInt16LE(4), guid.readUInt16LE(6)] as const
  const first = numbers.map((number, index) => number.toString(16).padStart(index === 0 ? 8 : 4, '0'))
  return [...first, guid.toString('hex', 8, 10), guid.toString('hex', 10)].join('-')
}
