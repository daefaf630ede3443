/**
 * The layer calls of vmcompute.dll, as hcsshim's wclayer makes them: all on threads of the pool, since they take long.
 * Layers are named by the whole path of their folder.
 *
 * @see https://github.com/microsoft/hcsshim/blob/main/internal/wclayer
 */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { promisify } from 'node:util'
import { fromHresult } from './error.ts'
import { koffi, systemFile, systemLibrary } from './library.ts'

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

const library = 'vmcompute.dll'

/** Whether this Windows has the feature "Containers". */
export function hasWindowsLayers(): boolean {
  return process.platform === 'win32' && existsSync(systemFile(library))
}

type Call = (...values: readonly unknown[]) => Promise<void>

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

let opened: WindowsLayers | undefined

/** @throws UnsupportedPlatformError; WindowsError, of every call */
export function windowsLayers(): WindowsLayers {
  return (opened ??= open())
}

function open(): WindowsLayers {
  const calls = bind()
  const descriptorsOf = async (chain: readonly string[]): Promise<readonly unknown[]> => {
    const descriptors: unknown[] = []
    for (const folder of chain) {
      const guid = Buffer.alloc(16)
      await calls.NameToGuid(path.win32.basename(folder), guid)
      descriptors.push({ LayerId: [...guid], Flags: 0, Path: folder })
    }
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
  // Windows fails when two layers are prepared at the same time.
  let preparing: Promise<void> = Promise.resolve()
  return {
    create: (layer, parent) => calls.CreateLayer(info, layer, parent),
    createSandbox: (layer, chain) => withChain(calls.CreateSandboxLayer, chain, layer, 0),
    expandSandbox: (layer, bytes) => calls.ExpandSandboxSize(info, layer, BigInt(bytes)),
    activate: (layer) => calls.ActivateLayer(info, layer),
    deactivate: (layer) => calls.DeactivateLayer(info, layer),
    prepare(layer, chain) {
      const prepared = preparing.then(() => withChain(calls.PrepareLayer, chain, layer))
      preparing = prepared.catch(() => undefined)
      return prepared
    },
    unprepare: (layer) => calls.UnprepareLayer(info, layer),
    destroy: (layer) => calls.DestroyLayer(info, layer),
    async mountPath(layer) {
      const length: (number | bigint)[] = [0]
      await calls.GetLayerMountPath(info, layer, length, null)
      const characters = Number(length[0])
      if (characters === 0) return ''
      const text = Buffer.alloc(characters * 2)
      await calls.GetLayerMountPath(info, layer, [characters], text)
      return text.toString('utf16le').replace(/\0.*$/s, '')
    },
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
  const vmcompute = systemLibrary(library)
  const call = (name: string, parameters: string): Call => {
    const native = promisify(vmcompute.func(`int32_t __stdcall ${name}(${parameters})`).async)
    return async (...values) => {
      const hresult: unknown = await native(...values)
      if (typeof hresult !== 'number') throw new Error(`${name} returned no number`)
      if (hresult < 0) throw fromHresult(hresult, { syscall: name, path: subjectOf(values) })
    }
  }
  const bound = Object.entries(signatures).map(([name, parameters]) => [name, call(name, parameters)])
  return Object.fromEntries(bound) as Readonly<Record<keyof typeof signatures, Call>>
}

/** The layer, or the folder. */
function subjectOf(values: readonly unknown[]): string | undefined {
  return values.find((value) => typeof value === 'string')
}

/** A string that the callee has allocated (CoTaskMemAlloc). */
function takeString(pointer: unknown): string | undefined {
  if (pointer === null || pointer === undefined) return undefined
  const text: unknown = koffi(library).decode(pointer, 'char16_t', -1)
  systemLibrary('ole32.dll').func('void __stdcall CoTaskMemFree(void *memory)')(pointer)
  return String(text)
}
