/** Many layers on top of each other: all of them are seen, in the right order, and one too many is refused. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Capabilities } from '../../capabilities.ts'
import type { Driver } from '../../driver.ts'
import type { LayerId } from '../../id.ts'
import { casesOf, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { perform } from '../recipe/perform.ts'
import { directory, file, type Recipe, remove } from '../recipe/step.ts'

/** How many layers a case stacks that wants `wanted`. */
function depthFor({ capabilities }: Driver, wanted: number): number {
  return Math.min(wanted, capabilities.maxDepth)
}

function indices(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index)
}

/** Layers on top of each other, the lowest first, into each of which something is written. */
async function tower(
  driver: Driver,
  ids: readonly LayerId[],
  write: (root: string, index: number) => void,
): Promise<LayerId> {
  let parent: LayerId | undefined
  for (const [index, id] of ids.entries()) {
    await driver.create(id, { parent })
    await using mounted = await driver.get(id)
    write(mounted.path, index)
    parent = id
  }
  assert(parent !== undefined)
  return parent
}

function names({ id }: CaseContext, count: number): readonly LayerId[] {
  return indices(count).map((index) => id(`layer${index}`))
}

/** What the driver keeps, by name. */
function kept({ root }: CaseContext): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' }).toSorted()
}

/** The most layers that a case makes to come to a driver's limit. */
const reachable = 1000

function isReachable({ maxDepth }: Capabilities): string | undefined {
  if (maxDepth === Number.POSITIVE_INFINITY) return 'the driver sets no bound to the depth of a stack'
  return maxDepth > reachable ? `${maxDepth} layers are too many to make here` : undefined
}

/** The top of a stack as deep as it may be, empty. */
async function deepest(context: CaseContext): Promise<LayerId> {
  let parent: LayerId | undefined
  for (const id of names(context, context.driver.capabilities.maxDepth)) {
    await context.driver.create(id, { parent })
    parent = id
  }
  assert(parent !== undefined)
  return parent
}

/** Stacks a layer for each recipe, and compares some of them with one directory to which the same is done. */
async function compared(
  context: CaseContext,
  recipes: readonly Recipe[],
  isCompared: (height: number) => boolean,
): Promise<void> {
  const oracle = await context.oracle()
  const layers = await context.stack('l', ...recipes)
  for (const [index, layer] of layers.entries()) {
    await perform(oracle, recipes[index] ?? [], index)
    if (isCompared(index + 1)) await context.within(layer, (root) => context.sameTree(oracle, root))
  }
}

/** Layer by layer something is added, changed, deleted and made again, in a tree that stays small. */
function busyLayer(index: number): Recipe {
  const deleted = index % 7 === 6 ? [remove(`f${(index - 3) % 20}`)] : []
  const everyThird = index % 3 === 0 ? [file('shared', String(index))] : []
  const everyTenth = index % 10 === 9 ? [directory(`d${index}`), file(`d${index}/f`)] : []
  return [file(`f${index % 20}`, String(index)), ...everyThird, ...everyTenth, ...deleted]
}

/** `n/n/n/…`, so many directories deep. */
function nested(depth: number): string {
  return Array.from({ length: depth }, () => 'n').join('/')
}

/** The directories from one depth to another, each with a file. */
function nest(from: number, to: number, content: string): Recipe {
  return indices(to - from + 1).flatMap((step) => {
    const at = nested(from + step)
    return [directory(at), file(`${at}/f`, `${content} ${from + step}`)]
  })
}

export const depth: readonly ConformanceCase[] = casesOf(
  'depth',
  {
    name: 'deep-read',
    title: 'the top of fifty layers shows the bottom’s file and the chain of all between',
    seen: 'moby graphtest DeepLayerRead',
    async run(context) {
      const { driver, within } = context
      const ids = names(context, depthFor(driver, 50))
      const top = await tower(driver, ids, (root, index) => {
        if (index === 0) writeFileSync(`${root}/testfile.txt`, 'test content')
        writeFileSync(`${root}/top-id`, ids[index] ?? '')
        mkdirSync(`${root}/layer-${index}`)
        writeFileSync(`${root}/layer-${index}/layer-id`, ids[index] ?? '')
        writeFileSync(`${root}/layer-${index}/parent-id`, ids[index - 1] ?? '')
      })
      await within(top, (root) => {
        assert.equal(readFileSync(`${root}/testfile.txt`, 'utf8'), 'test content')
        let expected: string = readFileSync(`${root}/top-id`, 'utf8')
        assert.equal(expected, top)
        for (const index of indices(ids.length).toReversed()) {
          assert.equal(readFileSync(`${root}/layer-${index}/layer-id`, 'utf8'), expected)
          expected = readFileSync(`${root}/layer-${index}/parent-id`, 'utf8')
        }
        assert.equal(expected, '')
      })
    },
  },
  {
    name: 'maximum',
    title: 'a stack as deep as the driver says can be mounted, and shows a file of every layer',
    async run(context) {
      const { driver, within } = context
      const ids = names(context, depthFor(driver, 130))
      const top = await tower(driver, ids, (root, index) => writeFileSync(`${root}/f${index}`, String(index)))
      await within(top, (root) => {
        assert.equal(readdirSync(root).length, ids.length)
        for (const index of ids.keys()) assert.equal(readFileSync(`${root}/f${index}`, 'utf8'), String(index))
      })
    },
  },
  {
    name: 'one-too-many',
    title: 'one layer more than can be mounted is refused when it is made, with the depth and the limit',
    needs: isReachable,
    async run(context) {
      const { driver, id } = context
      const limit = driver.capabilities.maxDepth
      const parent = await deepest(context)
      const before = kept(context)
      const details = { id: 'too-deep', depth: limit + 1, limit }
      for (const make of ['create', 'createReadWrite'] as const) {
        await assert.rejects(
          driver[make](id('too-deep'), { parent }),
          { code: 'GD_MAX_DEPTH', details },
          make,
        )
        assert.equal(await driver.exists(id('too-deep')), false)
        assert.deepEqual(kept(context), before)
      }
    },
  },
  {
    name: 'deepest-usable',
    title:
      'the deepest layer that can be made can be mounted and written to, even after it was refused a child',
    needs: isReachable,
    async run(context) {
      const { driver, id } = context
      const parent = await deepest(context)
      await assert.rejects(driver.create(id('too-deep'), { parent }))
      await using mounted = await driver.get(parent)
      assert.equal(mounted.readonly, false)
      writeFileSync(`${mounted.path}/f`, 'written')
      assert.equal(readFileSync(`${mounted.path}/f`, 'utf8'), 'written')
    },
  },
  {
    name: 'width-is-not-depth',
    title: 'only what is below a layer counts to its depth, not its siblings or what was removed',
    needs: ({ maxDepth }) =>
      maxDepth > 130 ? 'more layers than a stack may have are too many here' : undefined,
    async run(context) {
      const { driver, id } = context
      await driver.create(id('base'))
      for (const index of indices(driver.capabilities.maxDepth + 1)) {
        await driver.create(id(`child${index}`), { parent: id('base') })
        if (index % 2 === 0) await driver.remove(id(`child${index}`))
      }
    },
  },
  {
    name: 'long-names',
    title: 'the top of 126 layers with names of 64 digits lists exactly what was added and not deleted',
    seen: 'moby aufs driver, mounting more than 42 layers',
    async run(context) {
      const { driver, id, within } = context
      const ids = indices(depthFor(driver, 126)).map((index) =>
        id(createHash('sha256').update(String(index)).digest('hex')),
      )
      const isDeleting = (index: number): boolean => index % 10 === 9
      const top = await tower(driver, ids, (root, index) => {
        writeFileSync(`${root}/${ids[index]}`, '')
        if (isDeleting(index)) rmSync(`${root}/${ids[index - 1]}`)
      })
      await within(top, (root) => {
        const expected = ids.filter((_, index) => index + 1 === ids.length || !isDeleting(index + 1))
        assert.deepEqual(readdirSync(root).toSorted(), expected.toSorted())
      })
    },
  },
  {
    name: 'own-version',
    title: 'of a file that some layers rewrite, each layer shows its own version or the nearest below',
    async run(context) {
      const { driver, within } = context
      const ids = names(context, depthFor(driver, 24))
      await tower(driver, ids, (root, index) => {
        writeFileSync(`${root}/every`, String(index))
        if (index % 2 === 0) writeFileSync(`${root}/second`, String(index))
        if (index % 3 === 0) writeFileSync(`${root}/third`, String(index))
      })
      for (const [index, id] of ids.entries()) {
        await within(id, (root) => {
          const shown = ['every', 'second', 'third'].map((name) => readFileSync(`${root}/${name}`, 'utf8'))
          const expected = [1, 2, 3].map((interval) => String(index - (index % interval)))
          assert.deepEqual(shown, expected, id)
        })
      }
    },
  },
  {
    name: 'echo',
    title: 'directories that are deleted at any of ten depths and made again show only what is new in them',
    seen: 'containers/storage graphtest Echo',
    async run(context) {
      const recipes: Recipe[] = [nest(1, 10, 'old')]
      for (const at of indices(10).map((index) => 10 - index)) {
        recipes.push([remove(nested(at))], nest(at, 10, `made again from ${at}, at`))
      }
      await compared(context, recipes.slice(0, depthFor(context.driver, recipes.length)), () => true)
    },
  },
  {
    name: 'flat-copy',
    title: 'a stack of 128 busy layers shows at several levels what the same changes make of one directory',
    seen: 'containerd 128LayersMount',
    async run(context) {
      const recipes = indices(depthFor(context.driver, 128)).map((index) => busyLayer(index))
      await compared(context, recipes, (height) => height % 16 === 0 || height === recipes.length)
    },
  },
  {
    name: 'long-root',
    title: 'sixty layers can be mounted below a root whose path has fifteen hundred characters',
    seen: 'docker/for-linux#414',
    async run(context) {
      let root = context.directory
      while (root.length < 1500) root = path.join(root, 'r'.repeat(Math.min(200, 1499 - root.length)) || 'r')
      const driver = await context.reopen(root)
      const ids = names(context, depthFor(driver, 60))
      const top = await tower(driver, ids, (at, index) => writeFileSync(`${at}/f${index}`, String(index)))
      await using mounted = await context.mount(top, driver)
      assert.equal(readdirSync(mounted.path).length, ids.length)
      for (const index of ids.keys())
        assert.equal(readFileSync(`${mounted.path}/f${index}`, 'utf8'), String(index))
    },
  },
)
