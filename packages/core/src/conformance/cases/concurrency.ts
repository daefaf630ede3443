/** Many calls at once: for one layer, for many, through one instance and through two. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import type { Driver, TarStream } from '../../driver.ts'
import { isGraphDriverError } from '../../error.ts'
import type { LayerId } from '../../id.ts'
import type { Mount } from '../../mount.ts'
import { casesOf, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { mountsBelow } from '../host/mount-table.ts'
import { idsOf, namesBelow } from '../listing.ts'
import { append, directory, file, type Recipe } from '../recipe/step.ts'
import { entryBlocks, inChunks, rawTar } from '../tar/raw-tar.ts'
import { collect } from '../tar/read-tar.ts'

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index)
}

const many = numbers(64)

/** Runs one thing for each number, all at once. */
function atOnce<T>(count: readonly number[], action: (index: number) => Promise<T>): Promise<readonly T[]> {
  return Promise.all(count.map(action))
}

/** What a call says when another that ran at the same time was faster. */
async function unless(code: string, call: Promise<unknown>): Promise<void> {
  try {
    await call
  } catch (error) {
    if (!isGraphDriverError(error) || error.code !== code) throw error
  }
}

/** Of all the drivers, exactly one has made the layer; to the others it was there. */
async function exactlyOneMakes(id: LayerId, drivers: readonly Driver[]): Promise<void> {
  const ends = await Promise.allSettled(drivers.map((driver) => driver.create(id)))
  const refused = ends.flatMap((end): readonly unknown[] => (end.status === 'rejected' ? [end.reason] : []))
  for (const error of refused) {
    assert(isGraphDriverError(error, 'GD_LAYER_EXISTS'), `refused with ${String(error)}`)
  }
  assert.equal(ends.length - refused.length, 1, 'so many say that they made the layer')
}

async function assertUnmounted({ root }: CaseContext): Promise<void> {
  assert.deepEqual(mountsBelow(root), [])
}

/** A layer and its parent. Nothing is deleted: a marker of that has the time at which the diff is made. */
async function changed(context: CaseContext): Promise<readonly [base: LayerId, top: LayerId]> {
  const below: Recipe = [directory('d'), file('d/kept', { bytes: 300_000, seed: 1 }), file('f')]
  const above: Recipe = [file('d/new', { bytes: 300_000, seed: 2 }), append('f', 'more')]
  const [base, top] = await context.stack('layer', below, above)
  assert(top !== undefined)
  return [base, top]
}

export const concurrency: readonly ConformanceCase[] = casesOf(
  'concurrency',
  {
    name: 'layers-apart',
    title: '64 layers are made, mounted, written, unmounted and removed at once, each with its own content',
    async run(context) {
      const { driver, id, within } = context
      const base = await context.layer('base', undefined, [file('shared')])
      await atOnce(many, async (index) => {
        const layer = id(`layer${index}`)
        await driver.create(layer, { parent: base })
        await within(layer, (root) => writeFileSync(`${root}/own`, layer))
        await within(layer, (root) => {
          assert.equal(readFileSync(`${root}/own`, 'utf8'), layer)
          assert.deepEqual(readdirSync(root).toSorted(), ['own', 'shared'])
        })
      })
      assert.equal((await idsOf(driver)).length, many.length + 1)
      await atOnce(many, (index) => driver.remove(id(`layer${index}`)))
      assert.deepEqual(await idsOf(driver), [base])
      await assertUnmounted(context)
    },
  },
  {
    name: 'one-creates',
    title: 'of 64 calls that create one id at once exactly one succeeds',
    async run({ driver, id, within }) {
      await exactlyOneMakes(
        id('layer'),
        many.map(() => driver),
      )
      await within(id('layer'), (root) => assert.deepEqual(readdirSync(root), []))
    },
  },
  {
    name: 'one-instance-creates',
    title: 'of two instances that create one id at once exactly one succeeds, whichever id',
    async run(context) {
      const { driver, id } = context
      const other = await context.reopen()
      await atOnce(many, (index) =>
        exactlyOneMakes(id(`layer${index}`), index % 2 === 0 ? [driver, other] : [other, driver]),
      )
      assert.equal((await idsOf(driver)).length, many.length)
      assert.deepEqual(await idsOf(other), await idsOf(driver))
    },
  },
  {
    name: 'losers-leave-nothing',
    title: 'those who lose the race for an id leave nothing of the layers that they began',
    async run(context) {
      const { driver, id } = context
      const base = await context.layer('base', undefined, [directory('d'), file('d/f')])
      const layer = id('layer')
      await driver.create(layer, { parent: base })
      const before = namesBelow(driver.home)
      await driver.remove(layer)
      await atOnce(many, () => unless('GD_LAYER_EXISTS', driver.create(layer, { parent: base })))
      assert.equal(namesBelow(driver.home).length, before.length)
      await context.shows(layer, [directory('d'), file('d/f')])
    },
  },
  {
    name: 'gets-share-mount',
    title: '64 who mount one layer at once share one path with one mount, which goes with the last',
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, [file('f')])
      const top = await context.layer('top', base, [file('g')])
      const mounts = await atOnce(many, () => driver.get(top))
      const [path = ''] = mounts.map((mount) => mount.path)
      assert.deepEqual([...new Set(mounts.map((mount) => mount.path))], [path])
      assert(
        mountsBelow(context.root).length <= 1,
        `mounted more than once: ${mountsBelow(context.root).join(', ')}`,
      )
      assert.deepEqual(readdirSync(path).toSorted(), ['f', 'g'])
      await Promise.all(mounts.map((mount) => mount[Symbol.asyncDispose]()))
      await assertUnmounted(context)
    },
  },
  {
    name: 'gets-of-two-instances',
    title:
      'two instances that mount one layer at once make one mount of it, and removing the layer takes it away',
    async run(context) {
      const base = await context.layer('base', undefined, [file('f')])
      const other = await context.reopen()
      const layers = numbers(8).map((index) => context.id(`layer${index}`))
      for (const layer of layers) await context.driver.create(layer, { parent: base })
      const mounts = await Promise.all(
        layers.flatMap((layer) => [context.driver.get(layer), other.get(layer)]),
      )
      for (const { path } of mounts) assert.deepEqual(readdirSync(path), ['f'])
      assert.equal(new Set(mounts.map(({ path }) => path)).size, layers.length)
      const mounted = mountsBelow(context.root)
      assert.deepEqual(mounted, [...new Set(mounted)], 'something is mounted twice')
      for (const layer of layers) await other.remove(layer)
      await assertUnmounted(context)
    },
  },
  {
    name: 'removes-of-one',
    title: '64 removals of one layer at once all succeed, whether it is mounted or not',
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, [directory('d'), file('d/f')])
      for (const name of ['unmounted', 'mounted']) {
        const layer = await context.layer(name, base, [file('g')])
        if (name === 'mounted') await context.mount(layer)
        await atOnce(many, () => driver.remove(layer))
        assert.equal(await driver.exists(layer), false, name)
      }
      assert.deepEqual(await idsOf(driver), [base])
      await assertUnmounted(context)
      await context.shows(base, [directory('d'), file('d/f')])
    },
  },
  {
    name: 'create-against-remove',
    title: 'after 50 creations and removals of one id at once the layer is wholly there or wholly gone',
    async run(context) {
      const { driver, id } = context
      const base = await context.layer('base', undefined, [file('f')])
      const layer = id('layer')
      await atOnce(numbers(50), async () => {
        await Promise.all([
          unless('GD_LAYER_EXISTS', driver.create(layer, { parent: base })),
          driver.remove(layer),
        ])
      })
      const there = await driver.exists(layer)
      assert.deepEqual(await idsOf(driver), there ? [base, layer] : [base])
      if (there) await context.shows(layer, [file('f')])
      else await assert.rejects(driver.get(layer), { code: 'GD_LAYER_NOT_FOUND' })
      await driver.remove(layer)
      assert.deepEqual(await idsOf(driver), [base])
    },
  },
  {
    name: 'create-against-remove-leaves-nothing',
    title: 'creations and removals of one id that meet leave nothing in the home once the layer is removed',
    async run(context) {
      const { driver, id } = context
      const base = await context.layer('base', undefined, [file('f')])
      const layer = id('layer')
      // Whatever a driver writes down once, such as that the layer below has had a child.
      await driver.create(layer, { parent: base })
      await driver.remove(layer)
      const before = namesBelow(driver.home)
      for (const _ of numbers(50)) {
        await Promise.all([
          unless('GD_LAYER_EXISTS', driver.create(layer, { parent: base })),
          driver.remove(layer),
          unless('GD_LAYER_EXISTS', driver.create(layer, { parent: base })),
          driver.remove(layer),
        ])
      }
      await driver.remove(layer)
      assert.deepEqual(namesBelow(driver.home), before)
    },
  },
  {
    name: 'get-against-remove',
    title:
      'a mount that meets the removal of its layer is made or refused as not found, and does not outlive it',
    async run(context) {
      const { driver, id } = context
      const base = await context.layer('base', undefined, [file('f')])
      const layer = id('layer')
      const mountAndLeave = async (): Promise<void> => {
        const mount: Mount = await driver.get(layer)
        await mount[Symbol.asyncDispose]()
      }
      for (const _ of numbers(20)) {
        await driver.create(layer, { parent: base })
        await Promise.all([
          unless('GD_LAYER_NOT_FOUND', mountAndLeave()),
          driver.remove(layer),
          unless('GD_LAYER_NOT_FOUND', mountAndLeave()),
        ])
        assert.equal(await driver.exists(layer), false)
        await assertUnmounted(context)
      }
      await driver.create(layer, { parent: base })
      await context.shows(layer, [file('f')])
    },
  },
  {
    name: 'diffs-of-one',
    title: 'diffs of one layer that are read at once are equal byte for byte',
    async run(context) {
      const { driver } = context
      const [base, top] = await changed(context)
      const alone = await collect(driver.diff(top, base))
      for (const diff of await atOnce(numbers(8), () => collect(driver.diff(top, base)))) {
        assert(diff.equals(alone), 'a diff that was read beside others differs')
      }
    },
  },
  {
    name: 'diffs-in-turns',
    title: 'eight diffs can be read in turns, a chunk of each at a time',
    async run(context) {
      const { driver } = context
      const [base, top] = await changed(context)
      const alone = await collect(driver.diff(top, base))
      const open = new Map(
        numbers(8).map((index) => [
          driver.diff(top, base)[Symbol.asyncIterator](),
          { index, bytes: [Buffer.of()] },
        ]),
      )
      const whole: Buffer[] = []
      while (open.size > 0) {
        for (const [diff, { bytes }] of open) {
          const chunk = await diff.next()
          if (chunk.done !== true) bytes.push(Buffer.from(chunk.value))
          else {
            whole.push(Buffer.concat(bytes))
            open.delete(diff)
          }
        }
      }
      assert.equal(whole.length, 8)
      for (const diff of whole) assert(diff.equals(alone), 'a diff that was read in turns differs')
    },
  },
  {
    name: 'calls-beside-open-diffs',
    title: 'layers can be made, compared and removed while eight diffs are half read',
    async run(context) {
      const { driver, id } = context
      const [base, top] = await changed(context)
      const open = numbers(8).map(() => driver.diff(top, base)[Symbol.asyncIterator]())
      for (const diff of open) assert.equal((await diff.next()).done, false)
      await driver.create(id('other'), { parent: base })
      assert.deepEqual(await driver.changes(id('other'), base), [])
      await driver.remove(id('other'))
      for (const diff of open) await diff.return?.()
    },
  },
  {
    name: 'applies-at-once',
    title: 'eight children of one parent take a tar each at once, and each has its own content',
    async run(context) {
      const { driver, id } = context
      const base = await context.layer('base', undefined, [directory('d'), file('d/gone'), file('d/kept')])
      await atOnce(numbers(8), (index) => driver.create(id(`layer${index}`), { parent: base }))
      await atOnce(numbers(8), async (index) => {
        const data = Buffer.alloc(100_000, index)
        const tar = rawTar({ name: `d/own${index}`, data }, { name: 'd/.wh.gone' })
        await driver.applyDiff(id(`layer${index}`), base, inChunks(tar, 4096))
      })
      for (const index of numbers(8)) {
        await context.within(id(`layer${index}`), (root) => {
          assert.deepEqual(readdirSync(`${root}/d`).toSorted(), ['kept', `own${index}`])
          assert(readFileSync(`${root}/d/own${index}`).equals(Buffer.alloc(100_000, index)), `layer${index}`)
        })
      }
      await context.shows(base, [directory('d'), file('d/gone'), file('d/kept')])
    },
  },
  {
    name: 'transplants-at-once',
    title: 'eight layers are filled at once, each from a diff that the same driver makes meanwhile',
    async run(context) {
      const { driver } = context
      const [base, top] = await changed(context)
      const made = await atOnce(numbers(8), (index) => context.transplant(`copy${index}`, base, top, base))
      const wanted = await driver.changes(top, base)
      for (const copy of made) assert.deepEqual(await driver.changes(copy, base), wanted, copy)
    },
  },
  {
    name: 'slow-applies',
    title: 'eight tars that come slowly do not hold up calls for other layers',
    async run(context) {
      const { driver, id } = context
      const base = await context.layer('base', undefined, [file('f')])
      const others = Promise.withResolvers<undefined>()
      async function* slow(): TarStream {
        yield entryBlocks({ name: 'first', data: 'first' })
        await others.promise
        yield rawTar({ name: 'last', data: 'last' })
      }
      const slowly = numbers(8).map((index) => id(`slow${index}`))
      for (const layer of slowly) await driver.create(layer, { parent: base })
      const applying = Promise.all(slowly.map((layer) => driver.applyDiff(layer, base, slow())))
      // Heard of below; a failure before that must not end the process.
      applying.catch(() => undefined)
      try {
        const other = await context.layer('other', base, [file('g')])
        const tar = await collect(driver.diff(other, base))
        await driver.create(id('copy'), { parent: base })
        await driver.applyDiff(id('copy'), base, inChunks(tar))
        assert.deepEqual(await driver.changes(id('copy'), base), [{ path: '/g', kind: 'add' }])
        assert.equal(typeof (await driver.diffSize(id('copy'), base)), 'number')
        await driver.remove(other)
        assert.equal((await idsOf(driver)).length, slowly.length + 2)
      } finally {
        others.resolve(undefined)
      }
      await applying
      for (const layer of slowly) {
        await context.within(layer, (root) =>
          assert.deepEqual(readdirSync(root).toSorted(), ['f', 'first', 'last']),
        )
      }
    },
  },
  {
    name: 'listing-during-churn',
    title: 'layers that come and go while all are listed disturb the list in nothing but themselves',
    async run(context) {
      const { driver, id } = context
      const staying = numbers(8).map((index) => id(`stay${index}`))
      for (const layer of staying) await driver.create(layer)
      let churning = true
      const churn = atOnce(numbers(8), async (index) => {
        for (const round of numbers(8)) {
          const layer = id(`churn${index}-${round}`)
          await driver.create(layer, { parent: staying[0] })
          await driver.remove(layer)
        }
      }).finally(() => {
        churning = false
      })
      const listing = (async () => {
        do {
          const listed = await idsOf(driver)
          const others = listed.filter((layer) => !staying.includes(layer))
          assert.deepEqual(
            others.filter((layer) => !/^churn[0-7]-[0-7]$/.test(layer)),
            [],
            'listed, and never created',
          )
          assert.deepEqual(
            staying.filter((layer) => !listed.includes(layer)),
            [],
            'there all the time, and not listed',
          )
          // A driver may list without ever waiting for the kernel, and the others want their turn.
          await setImmediate()
        } while (churning)
      })()
      await Promise.all([churn, listing])
      assert.deepEqual(await idsOf(driver), staying)
    },
  },
  {
    name: 'children-of-mounted-parent',
    title: '32 children are made at once of a parent that is mounted, and each has what it has',
    async run(context) {
      const { driver, id } = context
      const recipe: Recipe = [directory('d'), file('d/f', 'content')]
      const base = await context.layer('base', undefined, [file('lowest')])
      const parent = await context.layer('parent1', base, recipe)
      await context.mount(parent)
      await atOnce(numbers(32), (index) => driver.create(id(`child${index}`), { parent }))
      for (const index of numbers(32)) {
        await context.within(id(`child${index}`), (root) => {
          assert.deepEqual(readdirSync(root).toSorted(), ['d', 'lowest'])
          assert.equal(readFileSync(`${root}/d/f`, 'utf8'), 'content')
        })
      }
    },
  },
  {
    name: 'mount-rounds',
    title: '128 children of one parent are made, mounted in rounds and removed in parallel',
    seen: 'moby aufs, benchConcurrent',
    async run(context) {
      const { driver, id } = context
      const base = await context.layer('base', undefined, [file('f')])
      await atOnce(numbers(128), async (index) => {
        const layer = id(`layer${index}`)
        await driver.create(layer, { parent: base })
        for (const _ of numbers(4)) {
          const mount = await driver.get(layer)
          assert(existsSync(`${mount.path}/f`), layer)
          await driver.put(layer)
        }
        await driver.remove(layer)
      })
      assert.deepEqual(await idsOf(driver), [base])
      await assertUnmounted(context)
    },
  },
  {
    name: 'get-put-storm',
    title: 'a layer stays visible as long as one holds it, however many come and go',
    async run(context) {
      const { driver } = context
      const base = await context.layer('base')
      const top = await context.layer('top', base, [file('f')])
      await context.within(top, async (held) => {
        await atOnce(many, async (index) => {
          const mounts = await atOnce(numbers((index % 3) + 1), () => driver.get(top))
          for (const mount of mounts) {
            assert.equal(mount.path, held)
            await mount[Symbol.asyncDispose]()
            assert(existsSync(`${held}/f`), 'it went while it was held')
          }
        })
        assert(existsSync(`${held}/f`), 'it went while it was held')
      })
      await assertUnmounted(context)
    },
  },
  {
    name: 'changes-during-writes',
    title: 'what a container writes while its changes are looked at does not make the looking fail',
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, [directory('d'), file('d/f')])
      const container = await context.writable('container', base)
      await context.within(container, async (root) => {
        let looking = true
        const looked = (async () => {
          for (const _ of numbers(6)) {
            await driver.changes(container, base)
            await driver.diffSize(container, base)
            await collect(driver.diff(container, base))
          }
        })().finally(() => {
          looking = false
        })
        const written = (async () => {
          for (let round = 0; looking; round++) {
            const name = `${root}/d/${round % 50}`
            if (round % 100 < 50) await writeFile(name, 'content')
            else await rm(name)
          }
        })()
        await Promise.all([looked, written])
        writeFileSync(`${root}/last`, '')
        const seen = await driver.changes(container, base)
        assert(
          seen.some(({ path, kind }) => path === '/last' && kind === 'add'),
          'the last file is not among the changes',
        )
      })
    },
  },
)
