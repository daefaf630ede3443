import type { LayerApi } from './case.ts'

/** The engine and its bindings, wrong in one place each. */
export interface HcsMutant {
  readonly does: string
  /** Where: the built file that has the text. */
  readonly package: 'sys' | 'drivers/windows'
  readonly from: string | RegExp
  readonly to: string
  /** Whose cases are to catch it; by default `vmcompute`. */
  readonly api?: LayerApi
}

const storage = { package: 'sys', api: 'computestorage' } as const

export const mutants: readonly HcsMutant[] = [
  {
    does: 'packs the structure that a layer is described by',
    package: 'sys',
    from: /Flags: ['"]uint32_t['"], Path: ['"]str16['"]/,
    to: 'Path: "str16", Flags: "uint32_t"',
  },
  {
    does: 'gives names in bytes',
    package: 'sys',
    from: /const DRIVER_INFO \*info, str16 id/,
    to: 'const DRIVER_INFO *info, str id',
  },
  {
    does: 'says that it is the other kind of driver',
    package: 'sys',
    from: /filterDriver = 1/,
    to: 'filterDriver = 0',
  },
  { does: 'gives no home', package: 'sys', from: /HomeDir: ['"]['"]/, to: 'HomeDir: null' },
  { does: 'has room for one character less', package: 'sys', from: /\[characters\]/, to: '[characters - 1]' },
  { does: 'cuts sizes to 32 bits', package: 'sys', from: /uint64_t size/, to: 'uint32_t size' },
  {
    does: 'describes no layers below',
    package: 'sys',
    from: /descriptors\.length === 0 \? null : descriptors/,
    to: 'null',
  },
  {
    does: 'takes all results for success',
    package: 'sys',
    from: /hresult < 0(?=\)\s*throw fromHresult\(hresult, \{ syscall: name, path: subjectOf)/,
    to: 'false',
  },
  {
    does: 'attaches the filter before it activates',
    package: 'drivers/windows',
    from: /await this\.#activate\(state, folder\);\s*if \(state\.isPrepared/,
    to: 'if (state.isPrepared',
  },
  {
    does: 'lets nothing go when a layer cannot be shown',
    package: 'drivers/windows',
    from: /await this\.#hide\(id, state, folder\)\.catch\([^;]*;\s*throw/,
    to: 'throw',
  },
  {
    does: 'deactivates before it takes the filter off',
    package: 'drivers/windows',
    from: /state\.count = 0;\s*await this\.#unprepare\(state, folder\);/,
    to: 'state.count = 0;',
  },
  {
    does: 'does not deactivate',
    package: 'drivers/windows',
    from: /if \(state\.isActive\) await this\.#layers\.deactivate\(folder\)/,
    to: 'state.isActive = false',
  },
  {
    does: 'exports with the filter attached',
    package: 'drivers/windows',
    from: /await this\.#unprepare\(state, folder\);\s*return/,
    to: 'return',
  },
  {
    does: 'leaves a layer hidden that it has exported',
    package: 'drivers/windows',
    from: /if \(state\.count > 0\) await this\.#prepare\(state, folder\);\s*else await/,
    to: 'await',
  },
  {
    does: 'deletes a layer that is active',
    package: 'drivers/windows',
    from: /if \(state !== (?:void 0|undefined)\) await this\.#hide\(id, state, folder\);\s*await action/,
    to: 'await action',
  },
  {
    does: 'leaves half a layer when its disk does not grow',
    package: 'drivers/windows',
    from: /await this\.#layers\.destroy\(folder\)\.catch\(\(\) => (?:undefined|void 0)\);\s*throw/,
    to: 'throw',
  },
  {
    does: 'gives an import the plain path',
    package: 'drivers/windows',
    from: /layers\.import\(longPath\d*\(layer\)/,
    to: 'layers.import((layer)',
  },
  {
    does: 'forgets what is deleted',
    package: 'drivers/windows',
    from: /this\.#deleted\.push\(name\)/,
    to: 'void name',
  },
  {
    does: 'forgets the file beside a directory',
    package: 'drivers/windows',
    from: /isDirectory \? `\$\{target\}\$\{companion\}` : target/,
    to: 'isDirectory ? `${target}.wrong` : target',
  },
  {
    does: 'writes attributes in the wrong order',
    package: 'drivers/windows',
    from: /bytes\.writeUInt32LE\(attributes/,
    to: 'bytes.writeUInt32BE(attributes',
  },
  {
    does: 'links the boot configuration of the layer below',
    package: 'drivers/windows',
    from: /isReparsePoint \|\| changedByWindows\.has/,
    to: 'isReparsePoint || false && changedByWindows.has',
  },
  {
    does: 'gives a name without the NUL that ends it',
    package: 'sys',
    from: /str16 name, _Out_ uint8_t \*guid/,
    to: 'const char16_t name[2], _Out_ uint8_t *guid',
  },
  {
    does: 'leaves the volume as it was when its disk grows',
    package: 'sys',
    from: /build >= 18_?362/,
    to: 'build >= 999_999',
  },
  {
    ...storage,
    does: 'names the layers below by the bytes of their GUIDs in order',
    from: 'guid.readUInt32LE(0)',
    to: 'guid.readUInt32BE(0)',
  },
  { ...storage, does: 'names no layers below', from: /Layers: layers/, to: 'Layers: []' },
  {
    ...storage,
    does: 'attaches a disk for as long as its handle is open',
    from: /disk\.attach\(true\)/,
    to: 'disk.attach(false)',
  },
  {
    ...storage,
    does: 'initializes no volume',
    from: /['"]HcsInitializeLegacyWritableLayer['"],\s*layer/,
    to: '"HcsDestroyLayer", "C:\\\\nothing"',
  },
  {
    ...storage,
    does: 'expands a disk in the wrong field',
    from: /parameters\.writeBigUInt64LE\(BigInt\(bytes\), 8\)/,
    to: 'parameters.writeBigUInt64LE(BigInt(bytes), 4)',
  },
  {
    ...storage,
    does: 'leaves a sandbox whose volume could not be made',
    from: /await call\(['"]HcsDestroyLayer['"], layer, layer\)\.catch\([^;]*;\s*throw/,
    to: 'throw',
  },
  {
    ...storage,
    does: 'exports a container’s layer as an image’s',
    from: /if \(isSandbox\(layer\)\)\s*await call\(['"]HcsExportLegacy/,
    to: 'if (false) await call("HcsExportLegacy',
  },
]
