/** A tar cut into its entries, so that a mutant can leave out, reorder and change them without touching the rest. */
import { collect, inChunks } from '@graphdriver/core/conformance'
import type { Driver, LayerId } from '@graphdriver/core'
import type { ReferenceDriver } from '../reference.ts'

export interface Piece {
  /** As the header or a PAX record before it has it, one character per byte. */
  readonly name: string
  /** The typeflag, `0` for files. */
  readonly type: string
  readonly link: string
  readonly mode: number
  readonly content: Buffer
  /** Extension headers that come before the entry's own blocks. */
  readonly extensions: Buffer
  readonly blocks: Buffer
}

const extensionTypes = 'xgLK'

function text(header: Buffer, at: number, length: number): string {
  return header.toString('latin1', at, at + length).replace(/\0.*$/s, '')
}

function sizeOf(header: Buffer): number {
  if (((header[124] ?? 0) & 0x80) !== 0) return header.readUInt32BE(132)
  return Number.parseInt(text(header, 124, 12), 8) || 0
}

function blocksOf(size: number): number {
  return 512 + Math.ceil(size / 512) * 512
}

function record(extensions: Buffer, key: string): string | undefined {
  return new RegExp(String.raw`\d+ ${key}=([^\n]*)\n`).exec(extensions.toString('latin1'))?.[1]
}

/** Up to the end marker. */
export function piecesOf(tar: Buffer): readonly Piece[] {
  const pieces: Piece[] = []
  let begin = 0
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const header = tar.subarray(at, at + 512)
    const [type, size] = [text(header, 156, 1) || '0', sizeOf(header)]
    const end = at + blocksOf(size)
    if (!extensionTypes.includes(type)) {
      const extensions = tar.subarray(begin, at)
      pieces.push({
        name: record(extensions, 'path') ?? text(header, 0, 100),
        link: record(extensions, 'linkpath') ?? text(header, 157, 100),
        mode: Number.parseInt(text(header, 100, 8), 8),
        content: tar.subarray(at + 512, at + 512 + size),
        blocks: tar.subarray(at, end),
        type,
        extensions,
      })
      begin = end
    }
    at = end
  }
  return pieces
}

export function tarOf(pieces: readonly Piece[]): Buffer {
  return Buffer.concat([
    ...pieces.flatMap(({ extensions, blocks }) => [extensions, blocks]),
    Buffer.alloc(1024),
  ])
}

/** The last part of a name. */
export function baseOf({ name }: Piece): string {
  return name.slice(name.lastIndexOf('/') + 1)
}

/** The names of the directories that a name is in: `a` and `a/b` for `a/b/c`. */
export function ancestorsOf(name: string): readonly string[] {
  const parts = name.split('/').filter((part) => part !== '')
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'))
}

interface Applied {
  readonly pieces: readonly Piece[]
  readonly tree: string
}

/**
 * Diffs that are edited before they are applied.
 *
 * @param edit gives what is applied instead, and may look at the tree as it is before
 * @param damage is done to the tree afterwards
 */
export function editsApplied(
  edit: (applied: Applied) => readonly Piece[],
  damage: (applied: Applied) => void = () => undefined,
): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    async applyDiff(id: LayerId, parent, tar, options) {
      const applied = { pieces: piecesOf(await collect(tar)), tree: intact.treeOf(id) }
      const size = await intact.applyDiff(id, parent, inChunks(tarOf(edit(applied))), options)
      damage(applied)
      return size
    },
  })
}

/** Diffs of which only some entries are applied. */
export function filtersApplied(
  isKept: (piece: Piece, applied: Applied) => boolean,
): (intact: ReferenceDriver) => Partial<Driver> {
  return editsApplied((applied) => applied.pieces.filter((piece) => isKept(piece, applied)))
}

/** Diffs that are applied well, after which something is done to the tree that knows what was in them. */
export function spoilsApplied(
  damage: (applied: Applied) => void,
): (intact: ReferenceDriver) => Partial<Driver> {
  return editsApplied(({ pieces }) => pieces, damage)
}
