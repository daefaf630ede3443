/** What is opened for reading only: it shows everything, and nothing under the root is other than before. */
import assert from 'node:assert/strict'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Driver } from '../../driver.ts'
import { type CaseBody, casesOf, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { mountsBelow } from '../host/mount-table.ts'
import type { LayerId } from '../../id.ts'
import { killedAfter } from '../killed.ts'
import { openFilesBelow } from '../leaks.ts'
import { idsOf, namesBelow, stamps } from '../listing.ts'
import { perform } from '../recipe/perform.ts'
import { append, attributes, directory, file, type Recipe, remove, symlink } from '../recipe/step.ts'
import { collect } from '../tar/read-tar.ts'
import { inChunks, rawTar } from '../tar/raw-tar.ts'

const below: Recipe = [
  directory('d', { mode: 0o1755 }),
  file('d/f', 'below'),
  file('kept', 'kept'),
  file('gone'),
]
const above: Recipe = [append('d/f', 'above'), attributes('kept', { mode: 0o600 }), remove('gone')]
const written: Recipe = [file('d/new', 'new'), symlink('link', 'kept'), remove('kept')]

interface Stack {
  readonly base: LayerId
  readonly top: LayerId
  readonly box: LayerId
}

/** Two image layers and a writable one, as a runtime has them; nobody has them mounted. */
async function stacked(context: CaseContext): Promise<Stack> {
  const [base, top] = await context.stack('layer', below, above)
  assert(top !== undefined)
  return { base, top, box: await context.writable('box2', top, written) }
}

/** All that a driver tells of the layers, but for what tells of the moment. */
async function told(driver: Driver, { base, top, box }: Stack): Promise<unknown> {
  const pairs = [
    [base, undefined],
    [top, base],
    [box, top],
    [box, undefined],
  ] as const
  return {
    ids: await idsOf(driver),
    metadata: [await driver.metadata(top), await driver.metadata(box)],
    absent: await driver.exists(box.concat('-absent') as LayerId),
    pairs: await Promise.all(
      pairs.map(async ([id, parent]) => [
        (await collect(driver.diff(id, parent))).toString('latin1'),
        await driver.changes(id, parent),
        await driver.diffSize(id, parent),
      ]),
    ),
  }
}

/** Looks at every layer that is listed in every way. */
async function lookAtAll(driver: Driver): Promise<void> {
  await driver.status()
  for (const id of await idsOf(driver)) {
    await driver.metadata(id)
    await driver.usage?.(id)
    await using mount = await driver.get(id)
    assert.equal(mount.readonly, true, `${id} is shown as if it could be written to`)
    await collect(driver.diff(id, undefined))
    await driver.changes(id, undefined)
    await using own = await driver.ownFiles?.(id)
    void own
  }
}

const cases: readonly CaseBody[] = [
  {
    name: 'shows-everything',
    title: 'opened for reading only, a driver shows the same layers, trees, diffs, changes and sizes',
    async run(context) {
      const stack = await stacked(context)
      const expected = await told(context.driver, stack)
      await context.driver.cleanup()
      const reading = await context.openReadOnly()
      assert.deepEqual(await told(reading, stack), expected)
      const shown: readonly (readonly [LayerId, readonly Recipe[]])[] = [
        [stack.base, [below]],
        [stack.top, [below, above]],
        [stack.box, [below, above, written]],
      ]
      for (const [id, recipes] of shown) {
        const oracle = await context.oracle(...recipes)
        await using mount = await reading.get(id)
        assert.equal(mount.readonly, true)
        await context.sameTree(oracle, mount.path)
      }
    },
  },
  {
    name: 'writes-nothing',
    title:
      'opening for reading only and looking at everything changes no file below the root and mounts nothing there',
    async run(context) {
      await stacked(context)
      await context.driver.cleanup()
      const before = stamps(context.root)
      const reading = await context.openReadOnly()
      await lookAtAll(reading)
      assert.deepEqual(mountsBelow(context.root), [])
      await reading.cleanup()
      assert.deepEqual(stamps(context.root), before)
      assert.deepEqual(openFilesBelow(context.root), [])
    },
  },
  {
    name: 'leaves-remains',
    title: 'what a killed process left is looked past, and left for whoever may change it',
    async run(context) {
      await context.driver.cleanup()
      await killedAfter(context, 'layers', 6)
      const mounted = mountsBelow(context.root)
      const names = namesBelow(context.driver.home)
      const reading = await context.openReadOnly()
      await lookAtAll(reading)
      await reading.cleanup()
      assert.deepEqual(namesBelow(context.driver.home), names)
      assert.deepEqual(mountsBelow(context.root), mounted)
      const next = await context.reopen()
      for (const id of (await idsOf(next)).toReversed()) await next.remove(id)
    },
  },
  {
    name: 'refuses-changes',
    title: 'opened for reading only, whatever would change a layer is refused with GD_READ_ONLY',
    async run(context) {
      const { base, top, box } = await stacked(context)
      await context.driver.cleanup()
      const before = stamps(context.root)
      const reading = await context.openReadOnly()
      const { id } = context
      const refused = { code: 'GD_READ_ONLY' }
      await assert.rejects(reading.create(id('new'), { parent: base }), refused)
      await assert.rejects(reading.createReadWrite(id('new'), { parent: top }), refused)
      await assert.rejects(reading.applyDiff(box, top, inChunks(rawTar({ name: 'f', data: 'f' }))), refused)
      await assert.rejects(reading.remove(box), refused)
      await assert.rejects(reading.remove(id('absent')), refused)
      if (reading.setQuota !== undefined) await assert.rejects(reading.setQuota(box, { size: 1 }), refused)
      await reading.cleanup()
      assert.deepEqual(stamps(context.root), before)
    },
  },
  {
    name: 'beside-a-writer',
    title: 'who only reads sees what a running container writes, and takes no mount from it',
    async run(context) {
      const { top, box } = await stacked(context)
      const container = await context.mount(box)
      writeFileSync(path.join(container.path, 'live'), 'live')
      const mounted = mountsBelow(context.root)
      const reading = await context.openReadOnly()
      {
        await using seen = await reading.get(box)
        assert.equal(readFileSync(path.join(seen.path, 'live'), 'utf8'), 'live')
        await using image = await reading.get(top)
        assert.equal(readFileSync(path.join(image.path, 'd/f'), 'utf8'), 'belowabove')
        assert.deepEqual(mountsBelow(context.root), mounted)
      }
      const later = await context.layer('later', top, [file('later')])
      assert.equal(await reading.exists(later), true)
      await using seen = await reading.get(later)
      assert(existsSync(path.join(seen.path, 'later')), 'a layer that was made meanwhile is not shown')
      await reading.cleanup()
      assert.deepEqual(mountsBelow(context.root), mounted)
      writeFileSync(path.join(container.path, 'live'), 'on')
    },
  },
  {
    name: 'looks-again',
    title: 'what a container has changed between two looks is seen by the second',
    async run(context) {
      const { box } = await stacked(context)
      const reading = await context.openReadOnly()
      const later: Recipe = [remove('d/f'), append('d/new', 'er'), file('later', 'later')]
      for (const recipes of [[written], [written, later]]) {
        if (recipes.length > 1) await context.within(box, (root) => perform(root, later, 3))
        const oracle = await context.oracle(below, above, ...recipes)
        await using mount = await reading.get(box)
        await context.sameTree(oracle, mount.path)
      }
    },
  },
  {
    name: 'gets-counted',
    title: 'opened for reading only, a layer is shown until the last who got it is done',
    async run(context) {
      const { box } = await stacked(context)
      await context.driver.cleanup()
      const reading = await context.openReadOnly()
      const mounts = await Promise.all(Array.from({ length: 8 }, () => reading.get(box)))
      for (const mount of mounts) {
        assert.equal(mount.path, mounts[0]?.path)
        assert.equal(readFileSync(path.join(mount.path, 'd/new'), 'utf8'), 'new')
        await mount[Symbol.asyncDispose]()
        await mount[Symbol.asyncDispose]()
      }
      await using again = await reading.get(box)
      assert.equal(readFileSync(path.join(again.path, 'd/new'), 'utf8'), 'new')
    },
  },
]

export const reading: readonly ConformanceCase[] = casesOf(
  'reading',
  ...cases.map((one) => ({
    ...one,
    needs: (_: unknown, { opensReadOnly }: { readonly opensReadOnly?: boolean | undefined }) =>
      opensReadOnly === true ? undefined : 'the driver cannot be opened for reading only',
  })),
)
