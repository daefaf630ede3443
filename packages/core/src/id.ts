/**
 * The identifiers of layers, parsed once at the edge and branded ever after.
 *
 * - `LayerId` names a layer inside a driver. It says nothing about content: the layer store draws it at random.
 * - `DiffId` is the SHA-256 of a layer's uncompressed tar.
 * - `ChainId` names a layer together with everything below it, so that equal stacks are shared.
 */
import { createHash, randomBytes } from 'node:crypto'
import { GraphDriverError } from './error.ts'

declare const kind: unique symbol
type Branded<Name extends string> = string & { readonly [kind]: { readonly [K in Name]: true } }

export type LayerId = Branded<'LayerId'>
export type DiffId = Branded<'Digest'> & Branded<'DiffId'>
export type ChainId = Branded<'Digest'> & Branded<'ChainId'>
/** `sha256:` and 64 lower-case hexadecimal digits, of any bytes. */
export type Digest = Branded<'Digest'>

const layerIdForm = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/
const digestForm = /^sha256:[0-9a-f]{64}$/

function invalid(value: string, expected: string): GraphDriverError<'GD_INVALID_ID'> {
  const shown = value.length > 80 ? `${value.slice(0, 80)}…` : value
  return new GraphDriverError('GD_INVALID_ID', `'${shown}' is not ${expected}`, { value, expected })
}

/**
 * A layer's name inside a driver: one path component of letters, digits, `_`, `.` and `-`, at most 255 long,
 * starting with a letter or digit, so that it can never climb out of the driver's home.
 *
 * @throws GD_INVALID_ID
 */
export function parseLayerId(value: string): LayerId {
  if (!layerIdForm.test(value)) throw invalid(value, 'a layer id (letters, digits, "_", "." and "-")')
  return value as LayerId
}

/** The same for names that may be anything, such as those in a directory; `undefined` for what is no layer id. */
export function asLayerId(value: string): LayerId | undefined {
  return layerIdForm.test(value) ? parseLayerId(value) : undefined
}

/** @throws GD_INVALID_ID */
export function parseDigest(value: string): Digest {
  if (!digestForm.test(value)) throw invalid(value, 'a digest (sha256: and 64 hexadecimal digits)')
  return value as Digest
}

/** @throws GD_INVALID_ID */
export function parseDiffId(value: string): DiffId {
  return parseDigest(value) as DiffId
}

/** @throws GD_INVALID_ID */
export function parseChainId(value: string): ChainId {
  return parseDigest(value) as ChainId
}

/** The 64 hexadecimal digits of a digest, as used in file names. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length)
}

/** The digest of bytes that are all here; streams hash for themselves. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return parseDigest(`sha256:${createHash('sha256').update(bytes).digest('hex')}`)
}

/**
 * The ChainID of a layer: its DiffID at the base, else the SHA-256 of `<parent ChainID> <DiffID>`.
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/config.md#layer-chainid
 */
export function nextChainId(parent: ChainId | undefined, diff: DiffId): ChainId {
  return parseChainId(parent === undefined ? diff : digestOf(`${parent} ${diff}`))
}

/** The ChainID of a whole stack, base first; `undefined` for no layers. */
export function chainIdOf(diffs: readonly DiffId[]): ChainId | undefined {
  return diffs.reduce<ChainId | undefined>(nextChainId, undefined)
}

/**
 * A fresh random name for a layer inside a driver: 64 hexadecimal digits, and, as Docker has it, never one whose
 * first twelve digits are all decimal, since short ids are used as host names.
 */
export function randomLayerId(): LayerId {
  for (;;) {
    const id = randomBytes(32).toString('hex')
    if (!/^\d{12}/.test(id)) return parseLayerId(id)
  }
}

/** The DiffID of the empty layer: 1024 zero bytes, the shortest tar there is. */
export const emptyDiffId: DiffId = parseDiffId(
  'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef',
)
