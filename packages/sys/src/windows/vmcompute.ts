/**
 * The layer calls of vmcompute.dll, as hcsshim's wclayer makes them: all on threads of the pool, since they take long.
 *
 * @see https://github.com/microsoft/hcsshim/blob/main/internal/wclayer
 */
import { release } from 'node:os'
import path from 'node:path'
import { whileAttached } from './disk.ts'
import { fromHresult } from './error.ts'
import type { WindowsLayers } from './layers.ts'
import { koffi, slowCalls, takeString } from './library.ts'
import { extendVolume } from './volume.ts'

export interface ComputeLayers extends WindowsLayers {
  /** What the Host Compute Service calls a layer. @returns 16 bytes */
  guidOf(folder: string): Promise<Buffer>
}

type Call = (...values: readonly unknown[]) => Promise<void>

const library = 'vmcompute.dll'

/** The kind of layer that a filter of the filesystem shows; the other kind is the one before Windows 10. */
const filterDriver = 1
const info = { Flavour: filterDriver, HomeDir: '' }

/** DRIVER_INFO, WC_LAYER_DESCRIPTOR: 16 and 32 bytes on x64. */
const structures = {
  info: { Flavour: 'uint32_t', HomeDir: 'str16' },
  descriptor: { LayerId: 'GUID', Flags: 'uint32_t', Path: 'str16' },
} as const

const about = 'const DRIVER_INFO *info, str16 id'
const below = 'const WC_LAYER_DESCRIPTOR *descriptors, uint32_t count'

const signatures = {
  CreateLayer: `${about}, str16 parent`,
  CreateSandboxLayer: `${about}, uintptr_t parent, ${below}`,
  ExpandSandboxSize: `${about}, uint64_t size`,
  ActivateLayer: about,
  DeactivateLayer: about,
  PrepareLayer: `${about}, ${below}`,
  UnprepareLayer: about,
  DestroyLayer: about,
  GetLayerMountPath: `${about}, _Inout_ size_t *length, _Inout_ uint16_t *buffer`,
  ImportLayer: `${about}, str16 folder, ${below}`,
  ExportLayer: `${about}, str16 folder, ${below}`,
  NameToGuid: 'str16 name, _Out_ uint8_t *guid',
  ProcessBaseImage: 'str16 path',
  ProcessUtilityImage: 'str16 path',
  HcsEnumerateComputeSystems: 'str16 query, _Out_ void **systems, _Out_ void **result',
} as const

/** @throws UnsupportedPlatformError; WindowsError, of every call */
export function computeLayers(): ComputeLayers {
  const calls = bind()
  const guidOf = async (folder: string): Promise<Buffer> => {
    const guid = Buffer.alloc(16)
    await calls.NameToGuid(path.win32.basename(folder), guid)
    return guid
  }
  const descriptorsOf = async (chain: readonly string[]): Promise<readonly unknown[]> => {
    const descriptors: unknown[] = []
    for (const folder of chain)
      descriptors.push({ LayerId: [...(await guidOf(folder))], Flags: 0, Path: folder })
    return descriptors
  }
  const withChain = async (
    call: Call,
    chain: readonly string[],
    ...values: readonly unknown[]
  ): Promise<void> => {
    const descriptors = await descriptorsOf(chain)
    await call(info, ...values, descriptors.length === 0 ? null : descriptors, descriptors.length)
  }
  const mountPath = async (layer: string): Promise<string> => {
    const length: (number | bigint)[] = [0]
    await calls.GetLayerMountPath(info, layer, length, null)
    const characters = Number(length[0])
    if (characters === 0) return ''
    const text = Buffer.alloc(characters * 2)
    await calls.GetLayerMountPath(info, layer, [characters], text)
    return text.toString('utf16le').replace(/\0.*$/s, '')
  }
  return {
    guidOf,
    create: (layer, parent) => calls.CreateLayer(info, layer, parent),
    createSandbox: (layer, chain) => withChain(calls.CreateSandboxLayer, chain, layer, 0),
    async expandSandbox(layer, bytes) {
      await calls.ExpandSandboxSize(info, layer, BigInt(bytes))
      if (!leavesVolumeAsItWas(release())) return
      await whileAttached(path.win32.join(layer, 'sandbox.vhdx'), async () =>
        extendVolume(await mountPath(layer)),
      )
    },
    activate: (layer) => calls.ActivateLayer(info, layer),
    deactivate: (layer) => calls.DeactivateLayer(info, layer),
    prepare: (layer, chain) => oneAfterAnother(() => withChain(calls.PrepareLayer, chain, layer)),
    unprepare: (layer) => calls.UnprepareLayer(info, layer),
    destroy: (layer) => calls.DestroyLayer(info, layer),
    mountPath,
    import: (layer, from, chain) => withChain(calls.ImportLayer, chain, layer, from),
    export: (layer, to, chain) => withChain(calls.ExportLayer, chain, layer, to),
    processBaseImage: (folder) => calls.ProcessBaseImage(folder),
    processUtilityImage: (folder) => calls.ProcessUtilityImage(folder),
    async computeSystems() {
      const [systems, result]: [unknown[], unknown[]] = [[null], [null]]
      await calls.HcsEnumerateComputeSystems('{}', systems, result)
      takeString(result[0])
      return takeString(systems[0]) ?? '[]'
    },
  }
}

function bind(): Readonly<Record<keyof typeof signatures, Call>> {
  const ffi = koffi(library)
  ffi.alias('GUID', ffi.array('uint8_t', 16))
  ffi.struct('DRIVER_INFO', structures.info)
  ffi.struct('WC_LAYER_DESCRIPTOR', structures.descriptor)
  const bound = Object.entries(slowCalls(library, signatures)).map(([name, native]): [string, Call] => [
    name,
    async (...values) => {
      const hresult = await native(...values)
      if (hresult < 0) throw fromHresult(hresult, { syscall: name, path: subjectOf(values) })
    },
  ])
  return Object.fromEntries(bound) as Readonly<Record<keyof typeof signatures, Call>>
}

/** The layer, or the folder. */
function subjectOf(values: readonly unknown[]): string | undefined {
  return values.find((value) => typeof value === 'string')
}

let preparing: Promise<void> = Promise.resolve()

/** Windows fails when two layers are prepared at the same time. */
export function oneAfterAnother(prepare: () => Promise<void>): Promise<void> {
  const prepared = preparing.then(prepare)
  preparing = prepared.catch(() => undefined)
  return prepared
}

/** Builds from 18362 (1903) to before 19020 expand a sandbox's disk and not the volume on it. @param version as `10.0.18362` */
function leavesVolumeAsItWas(version: string): boolean {
  const build = Number(version.split('.')[2])
  return build >= 18_362 && build < 19_020
}
