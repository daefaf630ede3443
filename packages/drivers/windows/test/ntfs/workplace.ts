/** What the cases share: the driver on NTFS, and layers of Windows in few words. */
import { type Driver, type LayerId, parseLayerId } from '@graphdriver/core'
import { filesystemRequirements, need, workbench } from '@tooling/lab'
import {
  fileAttribute,
  type LayerEntry,
  readLayer,
  type WindowsFile,
  writeLayer,
} from '@graphdriver/windows-layer'
import windows from '../../src/index.ts'

export { id } from '@tooling/lab'
export const { homeOf, openAt, openOn } = workbench(windows)

/** Why cases cannot run here, if they cannot. */
export const missing: string | undefined = need(...filesystemRequirements('ntfs'))

/** D:(A;;FA;;;WD) and the like: revision 1, self-relative, with an owner, a group and a list of one. */
export function descriptor(mask: number): Buffer {
  const sid = (...parts: readonly number[]): Buffer => {
    const bytes = Buffer.alloc(8 + 4 * parts.length)
    bytes.set([1, parts.length, 0, 0, 0, 0, 0, parts.length === 1 && parts[0] === 0 ? 1 : 5])
    for (const [index, part] of parts.entries()) bytes.writeUInt32LE(part, 8 + 4 * index)
    return bytes
  }
  const [administrators, everyone] = [sid(32, 544), sid(0)]
  const entry = Buffer.concat([Buffer.from([0, 3, 8 + everyone.length, 0]), Buffer.alloc(4), everyone])
  entry.writeUInt32LE(mask, 4)
  const list = Buffer.concat([Buffer.from([2, 0, 8 + entry.length, 0, 1, 0, 0, 0]), entry])
  const head = Buffer.alloc(20)
  head.set([1, 0, 0x04, 0x80])
  head.writeUInt32LE(20, 4)
  head.writeUInt32LE(20 + administrators.length, 8)
  head.writeUInt32LE(20 + 2 * administrators.length, 16)
  return Buffer.concat([head, administrators, administrators, list])
}

const time = 1_500_000_000_123_456_700n

export interface FileWords extends Partial<Omit<WindowsFile, 'name' | 'size'>> {
  readonly content?: string
  readonly streams?: Readonly<Record<string, string>>
}

export function file(name: string, { content = '', streams = {}, ...words }: FileWords = {}): LayerEntry {
  return {
    kind: 'file',
    name,
    content: Buffer.from(content),
    streams: Object.entries(streams).map(([stream, text]) => [stream, Buffer.from(text)] as const),
    file: {
      name,
      attributes: fileAttribute.archive,
      created: time - 1_000_000_000n,
      written: time,
      accessed: time + 1_000_000_000n,
      changed: time,
      security: descriptor(0x1f01ff),
      extendedAttributes: [],
      reparsePoint: undefined,
      size: Buffer.byteLength(content),
      ...words,
    },
  }
}

export function directory(name: string, words: FileWords = {}): LayerEntry {
  return file(name, { attributes: fileAttribute.directory, ...words })
}

export function deleted(name: string): LayerEntry {
  return { kind: 'remove', name, content: Buffer.alloc(0), streams: [] }
}

export function link(name: string, target: string): LayerEntry {
  return { kind: 'link', name, target, content: Buffer.alloc(0), streams: [] }
}

export async function apply(
  driver: Driver,
  name: string,
  parent: string | undefined,
  ...entries: readonly LayerEntry[]
): Promise<LayerId> {
  return applyTar(driver, name, parent, writeLayer(entries))
}

export async function applyTar(
  driver: Driver,
  name: string,
  parent: string | undefined,
  tar: Buffer,
): Promise<LayerId> {
  const [made, below] = [parseLayerId(name), parent === undefined ? undefined : parseLayerId(parent)]
  await driver.create(made, { parent: below })
  await driver.applyDiff(made, below, once(tar))
  return made
}

async function* once(tar: Buffer): AsyncGenerator<Uint8Array> {
  yield tar
}

/** The entries of a diff. */
export async function diffOf(driver: Driver, name: string, parent?: string): Promise<readonly LayerEntry[]> {
  const below = parent === undefined ? undefined : parseLayerId(parent)
  return readLayer(
    await Array.fromAsync(driver.diff(parseLayerId(name), below), (chunk) => Buffer.from(chunk)),
  )
}

/** By name, without the time of the last change of anything, which is the filesystem's. */
export function comparable(entries: readonly LayerEntry[]): readonly LayerEntry[] {
  return entries
    .map((entry) => (entry.file === undefined ? entry : { ...entry, file: { ...entry.file, changed: 0n } }))
    .map((entry) => ({ ...entry, streams: entry.streams.toSorted(([a], [b]) => (a < b ? -1 : 1)) }))
    .toSorted((a, b) => Buffer.from(a.name).compare(Buffer.from(b.name)))
}
