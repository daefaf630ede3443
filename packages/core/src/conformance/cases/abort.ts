/** Calls whose signal is aborted: they reject with its reason, and leave nothing that remove would not clear. */
import assert from 'node:assert/strict'
import { getEventListeners } from 'node:events'
import type { CallOptions, TarStream } from '../../driver.ts'
import type { LayerId } from '../../id.ts'
import { casesOf, type CaseBody, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { contentBytes, directory, file, type Recipe } from '../recipe/step.ts'
import { entryBlocks, inChunks, rawTar } from '../tar/raw-tar.ts'
import { idsOf } from '../listing.ts'
import { collect } from '../tar/read-tar.ts'
import { listing } from '../tree/listing.ts'

class Cancelled extends Error {
  override readonly name = 'Cancelled'
}

const mib = 1024 * 1024

type Call = (context: CaseContext, options: CallOptions) => Promise<unknown>

/** Every call that takes a signal, on the layers of `prepared`. */
const calls: Readonly<Record<string, Call>> = {
  create: ({ driver, id }, options) => driver.create(id('new'), { parent: id('base'), ...options }),
  createReadWrite: ({ driver, id }, options) =>
    driver.createReadWrite(id('new'), { parent: id('base'), ...options }),
  remove: ({ driver, id }, options) => driver.remove(id('layer'), options),
  get: async ({ driver, id }, options) => {
    await (await driver.get(id('layer'), options))[Symbol.asyncDispose]()
  },
  layers: ({ driver }, options) => Array.fromAsync(driver.layers(options)),
  diff: ({ driver, id }, options) => collect(driver.diff(id('layer'), id('base'), options)),
  changes: ({ driver, id }, options) => driver.changes(id('layer'), id('base'), options),
  diffSize: ({ driver, id }, options) => driver.diffSize(id('layer'), id('base'), options),
  applyDiff: ({ driver, id }, options) =>
    driver.applyDiff(id('empty'), id('base'), inChunks(rawTar({ name: 'applied' })), options),
}

const shown = ['d/', 'd/f "d/f"', 'g "g"']

async function prepared(context: CaseContext): Promise<void> {
  const base = await context.layer('base', undefined, [directory('d'), file('d/f')])
  await context.layer('layer', base, [file('g')])
  await context.layer('empty', base)
}

const alreadyAborted: readonly CaseBody[] = Object.entries(calls).map(([method, call]) => ({
  name: `before-${method}`,
  title: `${method} with a signal that is aborted already rejects with the reason and does nothing`,
  async run(context) {
    const { driver, id, within } = context
    await prepared(context)
    const reason = new Cancelled('before it began')
    await assert.rejects(call(context, { signal: AbortSignal.abort(reason) }), (error) => error === reason)
    assert.deepEqual(await idsOf(driver), ['base', 'empty', 'layer'])
    assert.deepEqual(await within(id('layer'), listing), shown)
    assert.deepEqual(await within(id('empty'), listing), ['d/', 'd/f "d/f"'])
  },
}))

const reasons: Readonly<Record<string, unknown>> = {
  'an error of a class of its own': new Cancelled('with a class'),
  'a text': 'enough',
  'nothing, which makes an AbortError': undefined,
}

/** A tar that aborts on its way, after some MiB. */
async function* interrupted(interrupt: () => void): TarStream {
  yield entryBlocks({ name: 'first/f', data: 'first' })
  yield entryBlocks({ name: '.wh.g' })
  for (let index = 0; index < 8; index++) {
    if (index === 4) interrupt()
    yield entryBlocks({ name: `big${index}`, data: contentBytes({ bytes: mib, seed: index }) })
  }
  yield Buffer.alloc(1024)
}

const large: Recipe = [
  ...Array.from({ length: 12 }, (_, index) => file(`f${index}`, { bytes: mib, seed: index })),
  directory('many'),
  ...Array.from({ length: 200 }, (_, index) => file(`many/f${index}`)),
]

const turn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve)
  })

/** Reads a stream to its end, aborting after the first chunk. */
async function readAborting(stream: TarStream, abort: () => void): Promise<void> {
  for await (const chunk of stream) {
    assert(chunk.length > 0)
    abort()
  }
}

const inTheMiddle: readonly CaseBody[] = [
  {
    name: 'during-apply',
    title: 'a diff that is aborted while it is applied rejects with the reason, and remove clears the layer',
    async run(context) {
      const { driver, id, within } = context
      const base = await context.layer('base', undefined, [file('g', 'g')])
      await driver.create(id('upper'), { parent: base })
      const controller = new AbortController()
      const reason = new Cancelled('in the middle')
      const { signal } = controller
      const source = interrupted(() => controller.abort(reason))
      await assert.rejects(
        driver.applyDiff(id('upper'), base, source, { signal }),
        (error) => error === reason,
      )
      assert.deepEqual(await within(base, listing), ['g "g"'])
      await driver.remove(id('upper'))
      assert.deepEqual(await idsOf(driver), ['base'])
      await driver.create(id('upper'), { parent: base })
      assert.deepEqual(await within(id('upper'), listing), ['g "g"'])
    },
  },
  {
    name: 'during-apply-of-a-silent-source',
    title: 'a diff whose source has nothing to say can be aborted while it waits',
    async run(context) {
      const { driver, id } = context
      await driver.create(id('layer'))
      const controller = new AbortController()
      const reason = new Cancelled('while it waits')
      const source = async function* (): TarStream {
        yield entryBlocks({ name: 'f', data: 'f' })
        setImmediate(() => controller.abort(reason))
        await new Promise<void>(() => undefined)
      }
      const { signal } = controller
      await assert.rejects(
        driver.applyDiff(id('layer'), undefined, source(), { signal }),
        (error) => error === reason,
      )
      await driver.remove(id('layer'))
      assert.deepEqual(await idsOf(driver), [])
    },
  },
  {
    name: 'during-diff',
    title: 'a diff that is aborted while it is read rejects with the reason, and the layer can be read again',
    async run(context) {
      const { driver, within } = context
      const base = await context.layer('base')
      const layer = await context.layer('layer', base, large)
      const controller = new AbortController()
      const reason = new Cancelled('in the middle')
      const stream = driver.diff(layer, base, { signal: controller.signal })
      await assert.rejects(
        readAborting(stream, () => controller.abort(reason)),
        (error) => error === reason,
      )
      const again = await collect(driver.diff(layer, base))
      assert(again.length > 12 * mib, `${again.length} bytes`)
      assert.equal((await within(layer, listing)).length, 213)
    },
  },
  {
    name: 'during-create',
    title: 'a child whose creation is aborted is wholly there or not at all, and its parent is as it was',
    async run(context) {
      const { driver, id, within } = context
      const parent = await context.layer('parent', undefined, large)
      const before = await within(parent, listing)
      const reason = new Cancelled('in the middle')
      // At once, and after some turns of the event loop: wherever that meets the driver.
      for (const turns of [0, 1, 3]) {
        const controller = new AbortController()
        const made = driver.create(id('child'), { parent, signal: controller.signal }).then(
          () => true,
          (error: unknown) => {
            assert.equal(error, reason)
            return false
          },
        )
        for (let index = 0; index < turns; index++) await turn()
        controller.abort(reason)
        const isMade = await made
        assert.deepEqual(await idsOf(driver), isMade ? ['child', 'parent'] : ['parent'])
        assert.equal(await driver.exists(id('child')), isMade)
        if (isMade) assert.deepEqual(await within(id('child'), listing), before)
        await driver.remove(id('child'))
      }
      assert.deepEqual(await within(parent, listing), before)
    },
  },
  {
    name: 'during-layers',
    title: 'a listing that is aborted between two layers rejects with the reason',
    async run({ driver, id }) {
      for (let index = 0; index < 5; index++) await driver.create(id(`layer${index}`))
      const controller = new AbortController()
      const reason = new Cancelled('in the middle')
      const seen: LayerId[] = []
      const walk = async (): Promise<void> => {
        for await (const layer of driver.layers({ signal: controller.signal })) {
          seen.push(layer)
          controller.abort(reason)
        }
      }
      await assert.rejects(walk(), (error) => error === reason)
      assert.equal(seen.length, 1)
    },
  },
]

const others: readonly CaseBody[] = [
  {
    name: 'no-listeners-left',
    title: 'a signal that is never aborted has no listener when the calls that took it are done',
    seen: 'a long-lived signal and MaxListenersExceededWarning',
    async run(context) {
      await prepared(context)
      const { signal } = new AbortController()
      // Removal last, since the others need the layer.
      const { remove = () => Promise.resolve(), ...rest } = calls
      for (const [method, call] of [...Object.entries(rest), ['remove', remove] as const]) {
        await call(context, { signal }).catch((error: unknown) => {
          // The second creation finds the id of the first.
          if (method !== 'createReadWrite') throw error
        })
        assert.deepEqual(getEventListeners(signal, 'abort'), [], method)
      }
    },
  },
  {
    name: 'aborted-afterwards',
    title: 'a signal that is aborted after a call has ended undoes nothing',
    async run(context) {
      const { driver, id, within } = context
      const base = await context.layer('base', undefined, [file('f', 'f')])
      const controller = new AbortController()
      const { signal } = controller
      await driver.create(id('upper'), { parent: base, signal })
      await driver.applyDiff(id('upper'), base, inChunks(rawTar({ name: 'g', data: 'g' })), { signal })
      await using mount = await driver.get(id('upper'), { signal })
      controller.abort(new Cancelled('too late'))
      await turn()
      assert.deepEqual(listing(mount.path), ['f "f"', 'g "g"'])
      assert.deepEqual(await within(id('upper'), listing), ['f "f"', 'g "g"'])
    },
  },
  {
    name: 'one-of-two',
    title: 'aborting one call does not disturb another that runs at the same time',
    async run(context) {
      const { driver, id, within } = context
      const base = await context.layer('base')
      for (const name of ['one', 'two']) await driver.create(id(name), { parent: base })
      const controller = new AbortController()
      const { signal } = controller
      const reason = new Cancelled('only the one')
      const source = interrupted(() => controller.abort(reason))
      const [one, two] = await Promise.allSettled([
        driver.applyDiff(id('one'), base, source, { signal }),
        driver.applyDiff(
          id('two'),
          base,
          interrupted(() => undefined),
        ),
      ])
      assert.equal(one.status === 'rejected' && one.reason === reason, true)
      assert.equal(two.status, 'fulfilled')
      await within(id('two'), async (root) => assert.equal(listing(root).length, 10))
    },
  },
  ...Object.entries(reasons).map(([words, value], index): CaseBody => ({
    name: `reason-${['error', 'text', 'none'][index] ?? ''}`,
    title: `the reason of a signal comes out as it is: ${words}`,
    async run(context) {
      await prepared(context)
      const controller = new AbortController()
      const { signal } = controller
      const { driver, id } = context
      const source = interrupted(() => controller.abort(value))
      const caught = await driver.applyDiff(id('empty'), id('base'), source, { signal }).then(
        () => 'nothing was thrown',
        (error: unknown) => error,
      )
      assert.equal(caught, signal.reason)
      if (value === undefined)
        assert(caught instanceof DOMException && caught.name === 'AbortError', String(caught))
      const before = await driver.get(id('layer'), { signal }).then(
        () => 'nothing was thrown',
        (error: unknown) => error,
      )
      assert.equal(before, signal.reason)
    },
  })),
]

export const abort: readonly ConformanceCase[] = casesOf(
  'abort',
  ...alreadyAborted,
  ...inTheMiddle,
  ...others,
)
