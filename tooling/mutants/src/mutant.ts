import type { Driver, DriverDefinition, TarStream } from '@graphdriver/core'
import type { CaseId } from '@graphdriver/core/conformance'
import { extract, pack } from 'tar-stream'
import reference, { ReferenceDriver } from './reference.ts'

/** The reference driver, broken in one way. */
export interface Mutant {
  /** What it does wrong, as one would say it of the driver: `forgets opaque markers`. */
  readonly does: string
  /** The cases that catch it, each by itself. */
  readonly caughtBy: readonly CaseId[]
  /** Members that take the place of the intact driver's, which they may use. */
  readonly breaks?: (intact: ReferenceDriver) => Partial<Driver>
  /** Members that take the place of the definition's. */
  readonly redefines?: (definition: DriverDefinition) => Partial<DriverDefinition>
  /** What other processes of a case import, where it is not this mutant itself. */
  readonly module?: URL
}

/** The definition of a mutant. */
export function definitionOf({ breaks, redefines }: Mutant): DriverDefinition {
  const broken: DriverDefinition = {
    ...reference,
    async open(host) {
      const intact = await reference.open(host)
      return breaks === undefined || !(intact instanceof ReferenceDriver)
        ? intact
        : mixed(intact, breaks(intact))
    },
  }
  return { ...broken, ...redefines?.(broken) }
}

function mixed(intact: Driver, overrides: Partial<Driver>): Driver {
  return new Proxy(intact, {
    get(target, key): unknown {
      if (key in overrides) return Reflect.get(overrides, key)
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

type Damage = (tree: string) => void | Promise<void>

/** Children that do not quite start as their parents: `damage` is done to the tree of each. */
export function damagesChildren(damage: Damage): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => {
    const create: Driver['create'] = async (id, options) => {
      await intact.create(id, options)
      if (options?.parent !== undefined) await damage(intact.treeOf(id))
    }
    return { create, createReadWrite: create }
  }
}

/** Diffs that are not quite applied: `damage` is done to the tree after each. */
export function damagesApplied(damage: Damage): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    async applyDiff(id, parent, tar, options) {
      const size = await intact.applyDiff(id, parent, tar, options)
      await damage(intact.treeOf(id))
      return size
    },
  })
}

/** Diffs that are edited on their way: `edit` gives the entry that is written instead, or none. */
export function editsDiffs(
  edit: (header: TarHeader, content: Buffer) => TarHeader | undefined,
): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    diff: (id, parent, options) => editTar(intact.diff(id, parent, options), edit),
  })
}

/** What tar-stream knows of an entry; `pax` are records as text. */
export type TarHeader = Parameters<ReturnType<typeof pack>['entry']>[0]

async function* editTar(
  tar: TarStream,
  edit: (header: TarHeader, content: Buffer) => TarHeader | undefined,
): TarStream {
  const reader = extract()
  const feeding = (async () => {
    for await (const chunk of tar) reader.write(Buffer.from(chunk))
    reader.end(Buffer.alloc(0))
  })()
  const writer = pack()
  for await (const entry of reader) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk))
    const content = Buffer.concat(chunks)
    const edited = edit(entry.header, content)
    if (edited !== undefined) writer.entry({ ...edited, size: content.length }, content)
  }
  await feeding
  writer.finalize()
  for await (const chunk of writer) if (chunk instanceof Uint8Array) yield chunk
}
