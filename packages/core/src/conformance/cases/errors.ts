/** What a driver says when it cannot: which error, of what, and what is left afterwards. */
import assert from 'node:assert/strict'
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import type { Driver, TarStream } from '../../driver.ts'
import { type ErrorCode, isGraphDriverError } from '../../error.ts'
import type { LayerId } from '../../id.ts'
import type { Mount } from '../../mount.ts'
import { probeDriver } from '../../selection.ts'
import { casesOf, type CaseBody, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { takeSpace } from '../host/take-space.ts'
import type { VolumeRequest } from '../lab.ts'
import { contentBytes, directory, file } from '../recipe/step.ts'
import { soon } from '../soon.ts'
import { inChunks, type RawEntry, rawTar } from '../tar/raw-tar.ts'
import { collect } from '../tar/read-tar.ts'
import { listing } from '../tree/listing.ts'

const mib = 1024 * 1024

/** For assert.rejects: an error of ours, with this code, that says which layer it is about. */
function isAbout(id: LayerId, code: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert(isGraphDriverError(error, code), `another error: ${String(error)}`)
    assert.equal('id' in error.details ? error.details.id : undefined, id)
    assert(error.message.includes(id), `the message does not name the layer: ${error.message}`)
    return true
  }
}

/** For assert.rejects: the system's own error. */
function isNoSpace(error: unknown): boolean {
  assert(error instanceof Error && 'code' in error, `another error: ${String(error)}`)
  // The host's own, or what a driver makes of it that has a pool of its own.
  assert(error.code === 'ENOSPC' || error.code === 'GD_NO_SPACE', error.message)
  return true
}

const emptyTar = (): TarStream => inChunks(rawTar())

/** Every call that is about one layer, and what it does with one that is not there. */
const calls: Readonly<Record<string, (driver: Driver, id: LayerId) => Promise<unknown>>> = {
  get: (driver, id) => driver.get(id),
  metadata: (driver, id) => driver.metadata(id),
  diff: (driver, id) => collect(driver.diff(id, undefined)),
  changes: (driver, id) => driver.changes(id, undefined),
  diffSize: (driver, id) => driver.diffSize(id, undefined),
  applyDiff: (driver, id) => driver.applyDiff(id, undefined, emptyTar()),
}

const unknownLayers: readonly CaseBody[] = Object.entries(calls).map(([method, call]) => ({
  name: `unknown-layer-${method}`,
  title: `${method} of a layer that is not there says so and names it`,
  async run({ driver, id }) {
    await driver.create(id('other'))
    await assert.rejects(call(driver, id('unknown')), isAbout(id('unknown'), 'GD_LAYER_NOT_FOUND'))
    assert.deepEqual(await Array.fromAsync(driver.layers()), ['other'])
  },
}))

const comparisons: Readonly<
  Record<string, (driver: Driver, id: LayerId, from: LayerId) => Promise<unknown>>
> = {
  diff: (driver, id, from) => collect(driver.diff(id, from)),
  changes: (driver, id, from) => driver.changes(id, from),
  diffSize: (driver, id, from) => driver.diffSize(id, from),
}

const unknownParents: readonly CaseBody[] = Object.entries(comparisons).map(([method, call]) => ({
  name: `unknown-base-${method}`,
  title: `${method} from a layer that is not there says so and names that one`,
  async run(context) {
    const layer = await context.layer('layer', undefined, [file('f')])
    const unknown = context.id('unknown')
    await assert.rejects(call(context.driver, layer, unknown), isAbout(unknown, 'GD_LAYER_NOT_FOUND'))
  },
}))

const creations: readonly CaseBody[] = [
  {
    name: 'unknown-parent',
    title: 'a layer on a parent that is not there is not made, and the error names the parent',
    async run({ driver, id }) {
      const [parent, child] = [id('unknown'), id('child')]
      for (const create of [driver.create.bind(driver), driver.createReadWrite.bind(driver)]) {
        await assert.rejects(create(child, { parent }), isAbout(parent, 'GD_LAYER_NOT_FOUND'))
        assert.equal(await driver.exists(child), false)
        assert.deepEqual(await Array.fromAsync(driver.layers()), [])
      }
    },
  },
  {
    name: 'existing-layer',
    title: 'an id that is taken is refused, and the layer that has it stays as it is',
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, [file('base')])
      const layer = await context.layer('layer', base, [file('own')])
      for (const parent of [undefined, base, layer]) {
        for (const create of [driver.create.bind(driver), driver.createReadWrite.bind(driver)])
          await assert.rejects(create(layer, { parent }), isAbout(layer, 'GD_LAYER_EXISTS'))
      }
      assert.deepEqual(await context.within(layer, listing), ['base "base"', 'own "own"'])
    },
  },
  {
    name: 'unknown-storage-option',
    title: 'a storage option that the driver does not know is refused by name, and no layer is made',
    async run({ driver, id }) {
      const storageOptions = { 'no-such-option': '1' }
      for (const create of [driver.create.bind(driver), driver.createReadWrite.bind(driver)]) {
        await assert.rejects(create(id('layer'), { storageOptions }), (error) => {
          assert(isGraphDriverError(error, 'GD_INVALID_OPTION'), `another error: ${String(error)}`)
          assert.equal(error.details.option, 'no-such-option')
          assert(error.message.includes('no-such-option'), error.message)
          return true
        })
        assert.equal(await driver.exists(id('layer')), false)
      }
    },
  },
  {
    name: 'unknown-driver-option',
    title: 'an option of the driver that it does not know is refused by name',
    async run({ subject }) {
      assert.throws(
        () => subject.definition.parse({ 'no-such-option': '1' }),
        (error) => {
          assert(isGraphDriverError(error, 'GD_INVALID_OPTION'), `another error: ${String(error)}`)
          assert.equal(error.details.option, 'no-such-option')
          return true
        },
      )
    },
  },
]

const places: readonly CaseBody[] = [
  {
    name: 'probe-read-only',
    title: 'the probe says no to a filesystem that is mounted read-only, with code, reason and hint',
    async run(context) {
      const { definition, options } = context.subject
      const root = await context.volume({ kind: 'read-only' })
      const before = readdirSync(root)
      const probe = await probeDriver(definition, { root, options })
      assert(!probe.supported, 'the probe says yes')
      assert.match(probe.code, /^[a-z][a-z0-9-]*$/)
      assert(probe.reason.length > 0, 'no reason')
      assert(probe.hint !== undefined && probe.hint.length > 0, 'no hint')
      assert.deepEqual(readdirSync(root), before)
    },
  },
  {
    name: 'open-read-only',
    title: 'opening on a filesystem that is mounted read-only fails with the code that the probe gives',
    async run(context) {
      const { definition, options } = context.subject
      const root = await context.volume({ kind: 'read-only' })
      const probe = await probeDriver(definition, { root, options })
      assert(!probe.supported, 'the probe says yes')
      await assert.rejects(context.reopen(root), (error) => {
        assert(isGraphDriverError(error, 'GD_DRIVER_UNSUPPORTED'), `another error: ${String(error)}`)
        assert.equal(error.details.driver, definition.name)
        assert.equal(error.details.reason, probe.code)
        return true
      })
    },
  },
  {
    name: 'probe-leaves-nothing',
    title: 'the probe of a root that does not exist yet leaves nothing, not even the root',
    async run(context) {
      const { definition, options } = context.subject
      const above = context.scratch('above')
      const probe = await probeDriver(definition, { root: path.join(above, 'not', 'yet'), options })
      assert.equal(probe.supported, true)
      assert.deepEqual(readdirSync(above), [])
      const there = path.join(above, 'there')
      mkdirSync(there)
      assert.equal((await probeDriver(definition, { root: there, options })).supported, true)
      assert.deepEqual(readdirSync(there), [])
    },
  },
  {
    name: 'probe-file',
    title: 'the probe of a root that is a file, or below one, answers no and does not throw',
    async run(context) {
      const { definition, options } = context.subject
      const above = context.scratch('above')
      const taken = path.join(above, 'file')
      writeFileSync(taken, 'content')
      for (const root of [taken, path.join(taken, 'root'), path.join(taken, 'deep', 'root')]) {
        const probe = await probeDriver(definition, { root, options })
        assert.equal(probe.supported, false, root)
      }
      assert.equal(readFileSync(taken, 'utf8'), 'content')
      assert.deepEqual(readdirSync(above), ['file'])
    },
  },
]

/** A driver on a filesystem of its own. */
class Volume {
  readonly root: string
  readonly driver: Driver

  constructor(root: string, driver: Driver) {
    this.root = root
    this.driver = driver
  }

  static async open(context: CaseContext, kind: VolumeRequest['kind']): Promise<Volume> {
    const root = await context.volume({ kind })
    return new Volume(root, await context.reopen(root))
  }

  async within<T>(id: LayerId, use: (root: string) => T | Promise<T>): Promise<T> {
    await using mount = await this.driver.get(id)
    return await use(mount.path)
  }

  async apply(id: LayerId, parent: LayerId | undefined, ...entries: readonly RawEntry[]): Promise<LayerId> {
    await this.driver.create(id, { parent })
    await this.driver.applyDiff(id, parent, inChunks(rawTar(...entries)))
    return id
  }

  /** Takes all space but some, or all of it; `drain` gives it back. */
  async fill(leave: number): Promise<void> {
    const { bavail, bsize } = statfsSync(this.root)
    // What a filesystem says is free it may still want for its own.
    const length = Math.max(1, bavail * bsize - Math.max(leave, 6 * mib))
    await takeSpace(this.#ballast, length)
    if (leave === 0) assert.throws(() => writeUntilFull(`${this.#ballast}-rest`), isNoSpace)
  }

  drain(): void {
    for (const file of [this.#ballast, `${this.#ballast}-rest`]) rmSync(file, { force: true })
  }

  get #ballast(): string {
    return path.join(this.root, 'ballast')
  }
}

/** Throws ENOSPC sooner or later; the bound is for what never does. */
function writeUntilFull(target: string): void {
  const bytes = contentBytes({ bytes: 4096, seed: 11 })
  const fd = openSync(target, 'w')
  try {
    for (let written = 0; written < 48 * mib; written += bytes.length) writeSync(fd, bytes)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

const big = (bytes: number, seed = 1): RawEntry => ({
  name: `big${seed}`,
  data: contentBytes({ bytes, seed }),
})
const fallocate = [{ root: true }, { command: 'fallocate', package: 'util-linux' }] as const

const fullDisks: readonly CaseBody[] = [
  {
    name: 'full-disk-apply',
    title: 'a tar that does not fit fails with ENOSPC, and remove of the layer gives the space back',
    seen: 'moby #10613',
    requires: fallocate,
    async run(context) {
      const volume = await Volume.open(context, 'small')
      const { id } = context
      const base = await volume.apply(id('base'), undefined, { name: 'f', data: 'f' })
      const other = await volume.apply(id('other'), base, { name: 'g', data: 'g' })
      await volume.fill(8 * mib)
      await assert.rejects(volume.apply(id('upper'), base, { name: '.wh.f' }, big(24 * mib)), isNoSpace)
      assert.deepEqual(await volume.within(base, listing), ['f "f"'])
      await volume.driver.remove(id('upper'))
      assert.deepEqual((await Array.fromAsync(volume.driver.layers())).toSorted(), ['base', 'other'])
      assert.deepEqual(await volume.within(other, listing), ['f "f"', 'g "g"'])
      await volume.apply(id('upper'), base, big(4 * mib))
      assert.deepEqual(await volume.within(id('upper'), listing), [`big1 ${4 * mib} bytes`, 'f "f"'])
    },
  },
  {
    name: 'full-disk-create',
    title: 'a layer that cannot be made for lack of space is not there, and can be made when there is space',
    requires: fallocate,
    async run(context) {
      const volume = await Volume.open(context, 'small')
      const { driver } = volume
      const [base, child] = [context.id('base'), context.id('child')]
      await volume.apply(base, undefined, big(4 * mib))
      await volume.fill(0)
      const made = await driver.create(child, { parent: base }).then(
        () => true,
        (error: unknown) => !isNoSpace(error),
      )
      assert.equal(await driver.exists(child), made)
      const listed = (await Array.fromAsync(driver.layers())).toSorted()
      assert.deepEqual(listed, made ? [base, child] : [base])
      volume.drain()
      await driver.remove(child)
      await driver.create(child, { parent: base })
      assert.deepEqual(await volume.within(child, listing), [`big1 ${4 * mib} bytes`])
    },
  },
  {
    name: 'full-disk-write',
    title: 'who writes to a mounted layer on a full disk gets ENOSPC, and removing the layer makes space',
    requires: fallocate,
    async run(context) {
      const volume = await Volume.open(context, 'small')
      const { driver } = volume
      const [base, container] = [context.id('base'), context.id('container')]
      await volume.apply(base, undefined, { name: 'f', data: 'f' })
      await driver.createReadWrite(container, { parent: base })
      await volume.within(container, (root) => writeFileSync(`${root}/own`, 'own'))
      await volume.fill(8 * mib)
      await volume.within(container, (root) => {
        assert.throws(() => writeUntilFull(`${root}/too-much`), isNoSpace)
        assert.deepEqual(readdirSync(root).toSorted(), ['f', 'own', 'too-much'])
        assert.equal(readFileSync(`${root}/own`, 'utf8'), 'own')
      })
      assert.deepEqual(await volume.within(base, listing), ['f "f"'])
      await driver.remove(container)
      await volume.apply(container, base, big(4 * mib))
      assert.deepEqual(await volume.within(container, listing), [`big1 ${4 * mib} bytes`, 'f "f"'])
    },
  },
  {
    name: 'few-inodes-apply',
    title: 'a tar with more files than there are inodes fails with ENOSPC, and remove gives them back',
    seen: 'moby #31038: inode exhaustion looks like no space',
    requires: [{ root: true }],
    async run(context) {
      const volume = await Volume.open(context, 'few-inodes')
      const base = await volume.apply(context.id('base'), undefined, { name: 'f', data: 'f' })
      const upper = context.id('upper')
      const files = Array.from({ length: 8000 }, (_, index): RawEntry => ({ name: `d/f${index}` }))
      await assert.rejects(volume.apply(upper, base, ...files), isNoSpace)
      await volume.driver.remove(upper)
      assert.deepEqual(await Array.fromAsync(volume.driver.layers()), [base])
      // A removal of many files gives them back in the background.
      await soon(async () => {
        try {
          await volume.apply(upper, base, ...files.slice(0, 100))
        } catch (error) {
          await volume.driver.remove(upper)
          throw error
        }
      })
      assert.deepEqual(await volume.within(base, listing), ['f "f"'])
      await volume.within(upper, (root) => assert.equal(readdirSync(`${root}/d`).length, 100))
    },
  },
]

/** What closes a mount that a call may give. */
async function discard(result: unknown): Promise<void> {
  if (isMount(result)) await result[Symbol.asyncDispose]()
}

function isMount(result: unknown): result is Mount {
  return typeof result === 'object' && result !== null && Symbol.asyncDispose in result && 'path' in result
}

const others: readonly CaseBody[] = [
  {
    name: 'source-error',
    title: 'what the source of a tar throws comes out of the call, the same object',
    async run(context) {
      const { driver, id, within } = context
      const base = await context.layer('base', undefined, [directory('d'), file('d/f', 'f')])
      const reason = new TypeError('the connection is gone')
      const source = async function* (): TarStream {
        yield rawTar({ name: 'half', data: Buffer.alloc(100_000, 1) }).subarray(0, 50_000)
        throw reason
      }
      await driver.create(id('upper'), { parent: base })
      await assert.rejects(driver.applyDiff(id('upper'), base, source()), (error) => error === reason)
      await driver.remove(id('upper'))
      await driver.create(id('upper'), { parent: base })
      assert.deepEqual(await within(id('upper'), listing), ['d/', 'd/f "f"'])
    },
  },
  {
    name: 'source-left',
    title: 'a source is left when its tar turns out to be damaged, and not read for ever',
    async run({ driver, id }) {
      let isLeft = false
      const source = async function* (): TarStream {
        try {
          for (;;) yield contentBytes({ bytes: 65_536, seed: 5 })
        } finally {
          isLeft = true
        }
      }
      await driver.create(id('layer'))
      await assert.rejects(driver.applyDiff(id('layer'), undefined, source()), (error) =>
        isGraphDriverError(error, 'GD_ARCHIVE_INVALID'),
      )
      // What lets go of the source may need a turn of its own.
      await new Promise<void>((resolve) => {
        setImmediate(resolve)
      })
      assert.equal(isLeft, true)
    },
  },
  {
    name: 'failed-apply-reused',
    title: 'after a diff that could not be applied the id can be removed and made again on another parent',
    async run(context) {
      const { driver, id, within } = context
      const base = await context.layer('base', undefined, [file('f', 'f')])
      const layer = id('layer')
      for (const parent of [base, undefined, base]) {
        await driver.create(layer, { parent })
        const cut = rawTar({ name: 'half/f' }, { name: 'cut', data: 'x'.repeat(600) }).subarray(0, 1200)
        await assert.rejects(driver.applyDiff(layer, parent, inChunks(cut)))
        await driver.remove(layer)
        assert.equal(await driver.exists(layer), false)
      }
      await driver.create(layer)
      assert.deepEqual(await within(layer, listing), [])
    },
  },
  {
    name: 'after-cleanup',
    title: 'a call after cleanup works or fails with an error of the project, and cleanup may come twice',
    async run(context) {
      const { id } = context
      const driver = await context.reopen(path.join(context.directory, 'other'))
      const layer = id('layer')
      await driver.create(layer)
      await driver.cleanup()
      await driver.cleanup()
      const create = (): Promise<void> => driver.create(id('child'), { parent: layer })
      const all = [
        ...Object.values(calls).map((call) => () => call(driver, layer)),
        create,
        () => driver.exists(layer),
        () => driver.status(),
        () => Array.fromAsync(driver.layers()),
        () => driver.put(layer),
        () => driver.remove(layer),
      ]
      for (const call of all) {
        try {
          await discard(await call())
        } catch (error) {
          assert(isGraphDriverError(error), `another error: ${String(error)}`)
        }
      }
    },
  },
  {
    name: 'nothing-beside-the-home',
    title: 'calls that fail leave nothing in the data root beside the driver’s own directory',
    async run(context) {
      const { driver, id, root, subject } = context
      const storageOptions = { 'no-such-option': '1' }
      await driver.create(id('layer'))
      const failing: readonly (() => Promise<unknown>)[] = [
        () => driver.create(id('child'), { parent: id('unknown') }),
        () => driver.create(id('child'), { storageOptions }),
        () => driver.create(id('layer')),
        () => driver.applyDiff(id('layer'), undefined, inChunks(Buffer.alloc(512, 'x'))),
        () => collect(driver.diff(id('unknown'), undefined)),
      ]
      for (const call of failing) await assert.rejects(call)
      assert.deepEqual(readdirSync(root), [subject.definition.name])
    },
  },
]

export const errors: readonly ConformanceCase[] = casesOf(
  'errors',
  ...unknownLayers,
  ...unknownParents,
  ...creations,
  ...places,
  ...fullDisks,
  ...others,
)
