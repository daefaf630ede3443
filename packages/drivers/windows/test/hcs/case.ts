/** What a case that runs in Wine is, and what it works with. Nothing here is for vitest, which does not run there. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { type Driver, type LayerId, parseLayerId } from '@graphdriver/core'
import windows, { type WindowsOptions } from '@graphdriver/windows'
import { type LayerEntry, readLayer, writeLayer } from '@graphdriver/windows-layer'

export type LayerApi = WindowsOptions['api']

export interface HcsCase {
  readonly name: string
  /** It is about these calls only. */
  readonly api?: LayerApi
  readonly run: (context: HcsContext) => Promise<void>
}

/** A line of what the double wrote. */
export interface DoubleCall {
  readonly call: string
  readonly layer?: string
  readonly folder?: string
  readonly result: string
  readonly [key: string]: unknown
}

let count = 0

/** A data root and a memory of the double's for one case. */
export class HcsContext {
  readonly root: string
  readonly api: LayerApi
  readonly #memory: string

  constructor(api: LayerApi) {
    this.api = api
    // Other runs work in the same Windows.
    const number = `${process.pid}-${count++}`
    this.root = `C:\\case${number}`
    this.#memory = `C:\\double${number}`
    process.env['LAYER_DOUBLE'] = this.#memory
    delete process.env['LAYER_DOUBLE_FAIL']
  }

  get home(): string {
    return path.join(this.root, 'windowsfilter')
  }

  open(): Promise<Driver> {
    return windows.open({ root: this.root, home: this.home, options: { api: this.api } })
  }

  /** All calls so far. */
  calls(): readonly DoubleCall[] {
    const file = path.join(this.#memory, 'calls.jsonl')
    if (!existsSync(file)) return []
    return readFileSync(file, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as DoubleCall)
  }

  /** Names of all calls since. */
  callsAfter(before: readonly DoubleCall[]): readonly string[] {
    return this.calls()
      .slice(before.length)
      .map(({ call }) => call)
  }

  /** Layers that are active, and those whose filter is attached. */
  held(): readonly string[] {
    return ['active', 'prepared'].flatMap((what) => {
      const directory = path.join(this.#memory, what)
      return existsSync(directory) ? readdirSync(directory).map((name) => `${what} ${name}`) : []
    })
  }

  /** What is under the home. */
  folders(): readonly string[] {
    return existsSync(this.home) ? readdirSync(this.home).toSorted() : []
  }

  /** Makes calls fail, as `PrepareLayer=8007001f` or `PrepareLayer#2=…`, for as long as an action takes. */
  async failing<T>(what: string, action: () => Promise<T>): Promise<T> {
    process.env['LAYER_DOUBLE_FAIL'] = what
    try {
      return await action()
    } finally {
      delete process.env['LAYER_DOUBLE_FAIL']
    }
  }
}

export function id(name: string): LayerId {
  return parseLayerId(name)
}

const time = 1_500_000_000_123_456_700n

export function file(
  name: string,
  content = '',
  words: Partial<NonNullable<LayerEntry['file']>> = {},
): LayerEntry {
  const bytes = Buffer.from(content)
  return {
    kind: 'file',
    name,
    content: bytes,
    streams: [],
    file: {
      name,
      attributes: 0x20,
      created: time,
      written: time,
      accessed: time,
      changed: time,
      security: undefined,
      extendedAttributes: [],
      reparsePoint: undefined,
      size: bytes.length,
      ...words,
    },
  }
}

export function directory(name: string): LayerEntry {
  return file(name, '', { attributes: 0x10 })
}

export function deleted(name: string): LayerEntry {
  return { kind: 'remove', name, content: Buffer.alloc(0), streams: [] }
}

export function link(name: string, target: string): LayerEntry {
  return { kind: 'link', name, target, content: Buffer.alloc(0), streams: [] }
}

export async function* once(tar: Uint8Array): AsyncGenerator<Uint8Array> {
  yield tar
}

/** Makes an image layer of these entries. */
export async function image(
  driver: Driver,
  name: string,
  parent: string | undefined,
  ...entries: readonly LayerEntry[]
): Promise<LayerId> {
  const below = parent === undefined ? undefined : id(parent)
  await driver.create(id(name), { parent: below })
  await driver.applyDiff(id(name), below, once(writeLayer(entries)))
  return id(name)
}

export async function diffOf(
  driver: Driver,
  name: string,
  parent: string | undefined,
): Promise<readonly LayerEntry[]> {
  const tar = driver.diff(id(name), parent === undefined ? undefined : id(parent))
  return readLayer(await Array.fromAsync(tar, (chunk) => Buffer.from(chunk)))
}

/** `file Files/a "content"`. */
export function shown(entries: readonly LayerEntry[]): readonly string[] {
  return entries.map(({ kind, name, file: about, content }) =>
    kind === 'file' && about !== undefined && (about.attributes & 0x10) === 0
      ? `${kind} ${name} "${content.toString()}"`
      : `${kind} ${name}`,
  )
}

export const base: readonly LayerEntry[] = [
  directory('Files'),
  directory('Files/app'),
  file('Files/app/a.txt', 'hello'),
  file('Files/b', 'bb'),
  directory('Hives'),
  file('Hives/System_Base', 'regf'),
]

export async function rejection(promise: Promise<unknown>): Promise<NodeJS.ErrnoException> {
  try {
    await promise
  } catch (error) {
    assert(error instanceof Error)
    return error
  }
  throw new assert.AssertionError({ message: 'it did not fail' })
}

/** Works in a layer. (What runs in Wine is run as it is by a Node that has no `using`.) */
export async function within(
  driver: Driver,
  name: string,
  use: (root: string) => Promise<void>,
): Promise<void> {
  const mount = await driver.get(id(name))
  try {
    await use(mount.path)
  } finally {
    await mount[Symbol.asyncDispose]()
  }
}
