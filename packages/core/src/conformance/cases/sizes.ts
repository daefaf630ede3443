/**
 * How large a layer is: the bytes of the files that it has of its own. What a symbolic link counts the contract
 * leaves open, so no case has any.
 */
import assert from 'node:assert/strict'
import { linkSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import type { LayerId } from '../../id.ts'
import { casesOf, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { append, attributes, directory, fifo, file, link, type Recipe, remove } from '../recipe/step.ts'
import { inChunks, rawTar } from '../tar/raw-tar.ts'
import { expectedSize } from '../tree/expected-changes.ts'
import { readTree, type Tree } from '../tree/tree.ts'
import { hardLinks, unixModes } from './needs.ts'

/** Sizes that no sum of the others makes. */
const base: Recipe = [
  directory('d'),
  file('d/kept', { bytes: 10_000, seed: 1 }),
  file('d/changed', { bytes: 2000, seed: 2 }),
  file('gone', { bytes: 400, seed: 3 }),
]

const untouched = file('untouched', { bytes: 50, seed: 10 })

/** What `recipe` adds to `base`, as the driver says. */
async function sizeAbove(context: CaseContext, recipe: Recipe): Promise<number> {
  const [parent, layer] = await context.stack('layer', base, recipe)
  assert(layer !== undefined)
  return context.driver.diffSize(layer, parent)
}

async function applied({ driver, id }: CaseContext, tar: Buffer, parent?: LayerId): Promise<number> {
  await driver.create(id('applied'), { parent })
  return driver.applyDiff(id('applied'), parent, inChunks(tar))
}

const gibibyte = 2 ** 30

export const sizes: readonly ConformanceCase[] = casesOf(
  'sizes',
  {
    name: 'sum-of-files',
    title: 'the size of a base layer is the sum of the bytes of its files',
    async run(context) {
      const layer = await context.layer('layer', undefined, [
        file('one', { bytes: 1, seed: 1 }),
        directory('d'),
        file('d/block', { bytes: 512, seed: 2 }),
        file('d/odd', { bytes: 70_001, seed: 3 }),
      ])
      assert.equal(await context.driver.diffSize(layer, undefined), 70_514)
    },
  },
  {
    name: 'nothing',
    title: 'a layer in which nothing was done has size 0',
    async run(context) {
      assert.equal(await context.driver.diffSize(await context.layer('empty'), undefined), 0)
      assert.equal(await sizeAbove(context, []), 0)
    },
  },
  {
    name: 'without-content',
    title: 'directories, empty files and named pipes count nothing',
    async run(context) {
      const recipe = [directory('new'), directory('new/d'), file('new/empty', ''), fifo('new/pipe')]
      assert.equal(await sizeAbove(context, recipe), 0)
    },
  },
  {
    name: 'deletions',
    title: 'a layer that only deletes has size 0',
    seen: 'moby pkg/archive TestChangesSizeWithOnlyDeleteChanges',
    async run(context) {
      assert.equal(await sizeAbove(context, [remove('gone'), remove('d/kept')]), 0)
      assert.equal(await context.driver.diffSize(context.id('layer1'), undefined), 2000)
    },
  },
  {
    name: 'own-content-only',
    title: 'what a layer has from its parent is not counted as its own',
    async run(context) {
      assert.equal(await sizeAbove(context, [file('d/new', { bytes: 30, seed: 4 })]), 30)
    },
  },
  {
    name: 'whole-without-parent',
    title: 'without a parent to compare with, all that a layer shows is counted',
    seen: 'moby graphtest DiffApply',
    async run(context) {
      await sizeAbove(context, [file('d/new', { bytes: 30, seed: 4 }), remove('gone')])
      assert.equal(await context.driver.diffSize(context.id('layer1'), undefined), 12_030)
    },
  },
  {
    name: 'above-grandparent',
    title: 'above a layer further down, what the layers between have is counted too',
    async run(context) {
      const [bottom, , top] = await context.stack(
        'layer',
        base,
        [file('middle', { bytes: 500, seed: 5 }), file('d/changed', { bytes: 60, seed: 6 })],
        [file('top', { bytes: 7, seed: 7 }), remove('gone')],
      )
      assert(top !== undefined)
      assert.equal(await context.driver.diffSize(top, bottom), 567)
    },
  },
  {
    name: 'rewritten',
    title: 'a file that is written anew counts with its new size',
    async run(context) {
      assert.equal(await sizeAbove(context, [file('d/changed', { bytes: 3, seed: 4 })]), 3)
    },
  },
  {
    name: 'appended',
    title: 'a file to which something is appended counts as a whole',
    async run(context) {
      assert.equal(await sizeAbove(context, [append('d/changed', 'more')]), 2004)
    },
  },
  {
    name: 'mode-changed',
    title: 'a file of which only the mode was changed counts as a whole, for the layer has it',
    needs: unixModes,
    async run(context) {
      assert.equal(await sizeAbove(context, [attributes('d/changed', { mode: 0o600 })]), 2000)
    },
  },
  {
    name: 'directory-mode-changed',
    title: 'a directory of which the mode was changed does not make its files count',
    async run(context) {
      assert.equal(await sizeAbove(context, [attributes('d', { mode: 0o700 })]), 0)
    },
  },
  {
    name: 'renamed',
    title: 'a file that has another name counts as a whole',
    async run(context) {
      const parent = await context.layer('parent', undefined, base)
      const layer = await context.layer('layer', parent)
      await context.within(layer, (root) => renameSync(`${root}/gone`, `${root}/d/came`))
      assert.equal(await context.driver.diffSize(layer, parent), 400)
    },
  },
  {
    name: 'made-and-removed',
    title: 'what was made in a layer and removed again counts no more',
    async run(context) {
      const { driver } = context
      const parent = await context.layer('parent', undefined, base)
      const layer = await context.layer('layer', parent, [directory('new'), file('new/f', '12345')])
      assert.equal(await driver.diffSize(layer, parent), 5)
      await context.within(layer, (root) => rmSync(`${root}/new`, { recursive: true }))
      assert.equal(await driver.diffSize(layer, parent), 0)
    },
  },
  {
    name: 'hard-links-once',
    title: 'a file counts once, however many names it has',
    seen: 'moby pkg/archive TestChangesSizeWithHardlinks',
    needs: hardLinks,
    async run(context) {
      const names = Array.from({ length: 100 }, (_, index) => `${index}`)
      const recipe = names.flatMap((name) => [file(name, '4444'), link(`d/${name}`, name)])
      assert.equal(await sizeAbove(context, recipe), 400)
      assert.equal(await context.driver.diffSize(context.id('layer1'), undefined), 12_800)
    },
  },
  {
    name: 'hundred-names',
    title: 'a file of a hundred names counts once',
    needs: hardLinks,
    async run(context) {
      const names = Array.from({ length: 99 }, (_, index) => link(`d/${index}`, 'first'))
      assert.equal(await sizeAbove(context, [file('first', '4444'), ...names]), 4)
    },
  },
  {
    name: 'link-to-lower-file',
    title: 'a new name for a file of the parent makes that file count once',
    async run(context) {
      const parent = await context.layer('parent', undefined, base)
      const layer = await context.layer('layer', parent)
      await context.within(layer, (root) => linkSync(`${root}/gone`, `${root}/d/again`))
      assert.equal(await context.driver.diffSize(layer, parent), 400)
    },
  },
  {
    name: 'above-4-gib',
    title: 'sizes above 4 GiB are exact, to the byte',
    async run(context) {
      const parent = await context.layer('parent', undefined, base)
      const layer = await context.layer('layer', parent)
      await context.within(layer, (root) => {
        for (const [name, bytes] of [
          ['five', 5 * gibibyte + 1],
          ['six', 6 * gibibyte + 2],
        ] as const) {
          writeFileSync(`${root}/${name}`, '')
          truncateSync(`${root}/${name}`, bytes)
        }
      })
      assert.equal(await context.driver.diffSize(layer, parent), 11 * gibibyte + 3)
    },
  },
  {
    name: 'another-instance',
    title: 'another instance says the same size of a layer',
    async run(context) {
      const size = await sizeAbove(context, [file('new', { bytes: 1234, seed: 4 })])
      const other = await context.reopen()
      const [parent, layer] = [context.id('layer0'), context.id('layer1')]
      assert.equal(size, 1234)
      assert.equal(await other.diffSize(layer, parent), size)
      assert.equal(await other.diffSize(parent, undefined), 12_400)
    },
  },
  {
    name: 'while-mounted',
    title: 'a layer that is mounted has the size of what was written until now',
    async run(context) {
      const { driver } = context
      const parent = await context.layer('parent', undefined, base)
      const layer = await context.writable('container', parent)
      await context.within(layer, async (root) => {
        writeFileSync(`${root}/first`, '1')
        assert.equal(await driver.diffSize(layer, parent), 1)
        writeFileSync(`${root}/second`, '22')
        assert.equal(await driver.diffSize(layer, parent), 3)
      })
    },
  },
  {
    name: 'as-compared',
    title: 'the size of a layer is that of the files in which two trees differ',
    async run(context) {
      const layers = await context.stack(
        'layer',
        [...base, untouched],
        [
          file('new', { bytes: 77, seed: 8 }),
          link('d/new', 'new'),
          append('d/changed', 'more'),
          attributes('d/kept', { mode: 0o640 }),
          remove('gone'),
          directory('gone', { mode: 0o711 }),
          file('gone/f', { bytes: 901, seed: 9 }),
          fifo('pipe'),
        ],
      )
      const [parent, layer] = layers
      assert(layer !== undefined)
      const trees: Tree[] = []
      for (const id of layers) trees.push(await context.within(id, readTree))
      const [before, after] = trees
      assert(before !== undefined && after !== undefined)
      const expected = expectedSize(before, after)
      assert.equal(expected, 12_982)
      assert.equal(await context.driver.diffSize(layer, parent), expected)
    },
  },
  {
    name: 'applied',
    title: 'applying a diff gives the size of the layer that it came from',
    seen: 'moby graphtest DiffApply',
    async run(context) {
      const { driver } = context
      const many = (seed: number): Recipe =>
        Array.from({ length: 10 }, (_, index) => file(`file-${index}`, { bytes: 64, seed: seed + index }))
      const [parent, layer] = await context.stack(
        'layer',
        [...many(3), file('file-remove.txt', 'remove me'), directory('var'), directory('var/lib')],
        [...many(60), remove('file-remove.txt'), remove('var/lib')],
      )
      assert(layer !== undefined)
      // Every file that is there was written anew, so the whole is what changed.
      const whole = await driver.diffSize(layer, undefined)
      await driver.create(context.id('copy'), { parent })
      const returned = await driver.applyDiff(context.id('copy'), parent, driver.diff(layer, parent))
      assert.deepEqual([whole, returned], [640, 640])
    },
  },
  {
    name: 'applied-and-looked-at',
    title: 'the size that applying gives is the one that the layer has afterwards',
    needs: hardLinks,
    async run(context) {
      const { driver } = context
      const recipe = [
        file('new', { bytes: 1000, seed: 4 }),
        link('d/new', 'new'),
        append('d/changed', 'more'),
        remove('gone'),
        directory('gone'),
      ]
      const size = await sizeAbove(context, recipe)
      const [parent, layer, copy] = [context.id('layer0'), context.id('layer1'), context.id('copy')]
      await driver.create(copy, { parent })
      const returned = await driver.applyDiff(copy, parent, driver.diff(layer, parent))
      assert.deepEqual([returned, await driver.diffSize(copy, parent)], [size, size])
      assert.equal(size, 3004)
    },
  },
  {
    name: 'applied-hard-links',
    title: 'applying a tar counts a file with several names once',
    async run(context) {
      const tar = rawTar(
        { name: 'a', data: '12345' },
        { name: 'b', type: '1', link: 'a' },
        { name: 'd/' },
        { name: 'd/c', type: '1', link: 'a' },
      )
      assert.equal(await applied(context, tar), 5)
    },
  },
  {
    name: 'applied-twice-listed',
    title: 'applying a tar that lists a file twice counts the one that stays',
    async run(context) {
      const tar = rawTar({ name: 'a', data: 'the first' }, { name: 'a', data: 'last' })
      assert.equal(await applied(context, tar), 4)
      assert.equal(await context.driver.diffSize(context.id('applied'), undefined), 4)
    },
  },
  {
    name: 'applied-whiteouts',
    title: 'applying a tar counts nothing for whiteouts, and takes nothing off for what they hide',
    async run(context) {
      const parent = await context.layer('parent', undefined, [...base, untouched])
      const tar = rawTar(
        { name: '.wh.gone' },
        { name: 'd/' },
        { name: 'd/.wh..wh..opq' },
        { name: 'd/new', data: 'new' },
      )
      assert.equal(await applied(context, tar, parent), 3)
      assert.equal(await context.driver.diffSize(context.id('applied'), parent), 3)
    },
  },
)
