/** Layers come, are what they were made to be, and go. */
import assert from 'node:assert/strict'
import { chmodSync, lchownSync, lstatSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { casesOf, type ConformanceCase } from '../case.ts'
import { idsOf } from '../listing.ts'
import { append, attributes, directory, file, remove } from '../recipe/step.ts'
import type { LayerId } from '../../id.ts'
import { anyOwner, unixModes, unixNames } from './needs.ts'

/** Runs something under a umask that would take everything from others. */
async function underUmask<T>(action: () => Promise<T>): Promise<T> {
  const before = process.umask(0o077)
  try {
    return await action()
  } finally {
    process.umask(before)
  }
}

export const lifecycle: readonly ConformanceCase[] = casesOf(
  'lifecycle',
  {
    name: 'empty-layer',
    title: 'a new layer is an empty directory that belongs to root and has mode 0755',
    needs: unixModes,
    seen: 'moby graphtest CreateEmpty',
    async run({ driver, id, within }) {
      await driver.create(id('empty'))
      await within(id('empty'), (root) => {
        const stat = lstatSync(root)
        assert(stat.isDirectory())
        assert.equal((stat.mode & 0o7777).toString(8), '755')
        assert.deepEqual([stat.uid, stat.gid], [0, 0])
        assert.deepEqual(readdirSync(root), [])
      })
    },
  },
  {
    name: 'umask',
    title: 'the umask of the process does not narrow the mode of a new layer',
    needs: unixModes,
    seen: 'containerd RootPermission',
    async run({ driver, id, within }) {
      await underUmask(async () => {
        await driver.create(id('base'))
        await driver.create(id('child'), { parent: id('base') })
      })
      for (const name of ['base', 'child']) {
        const mode = await within(id(name), (root) => lstatSync(root).mode & 0o7777)
        assert.equal(mode.toString(8), '755', name)
      }
    },
  },
  {
    name: 'exists',
    title: 'a layer exists once it is created, and no other does',
    async run({ driver, id }) {
      assert.equal(await driver.exists(id('a')), false)
      await driver.create(id('a'))
      assert.equal(await driver.exists(id('a')), true)
      assert.equal(await driver.exists(id('b')), false)
    },
  },
  {
    name: 'attributes-kept',
    title: 'special modes, owners and content of a layer are there when it is mounted again',
    seen: 'moby graphtest CreateBase',
    needs: anyOwner,
    async run(context) {
      const recipe = [
        directory('a subdir', { mode: 0o1705, uid: 1, gid: 2 }),
        file('a file', 'Some data', { mode: 0o4222 }),
      ]
      const base = await context.writable('base', undefined, recipe)
      await context.shows(base, recipe)
    },
  },
  {
    name: 'child-starts-as-parent',
    title: 'a child shows exactly what its parent has',
    seen: 'moby graphtest CreateSnap',
    async run(context) {
      const recipe = [directory('d', { mode: 0o1750 }), file('d/f', 'Some data', { mode: 0o4755 }), file('g')]
      const base = await context.layer('base', undefined, recipe)
      const snap = await context.layer('snap', base)
      await context.shows(snap, recipe)
    },
  },
  {
    name: 'grandchild-starts-as-grandparent',
    title: 'a layer shows what its grandparent has when its parent changed nothing',
    seen: 'containerd Transitivity',
    async run(context) {
      const recipe = [directory('d'), file('d/f')]
      const [, , top] = await context.stack('l', recipe, [], [])
      assert(top !== undefined)
      await context.shows(top, recipe)
    },
  },
  {
    name: 'root-mode-inherited',
    title: 'the mode and owner of the root directory go down to children and grandchildren',
    seen: 'containers/storage CreateSnap, second generation',
    needs: anyOwner,
    async run(context) {
      const base = await context.layer('base')
      await context.within(base, (root) => {
        lchownSync(root, 5, 6)
        chmodSync(root, 0o1711)
      })
      const child = await context.layer('child', base)
      const grandchild = await context.layer('grandchild', child)
      for (const id of [child, grandchild]) {
        await context.within(id, (root) => {
          const { mode, uid, gid } = lstatSync(root)
          assert.deepEqual([(mode & 0o7777).toString(8), uid, gid], ['1711', 5, 6], id)
        })
      }
    },
  },
  {
    name: 'parent-untouched',
    title: 'what is written, changed and deleted in a child is not seen in its parent',
    async run(context) {
      const recipe = [directory('d'), file('d/kept'), file('d/changed'), file('d/deleted')]
      const base = await context.layer('base', undefined, recipe)
      await context.layer('child1', base, [
        append('d/changed', 'more'),
        attributes('d/kept', { mode: 0o600 }),
        remove('d/deleted'),
        file('d/new'),
      ])
      await context.shows(base, recipe)
    },
  },
  {
    name: 'siblings-apart',
    title: 'two children of one parent do not see each other’s changes',
    async run(context) {
      const base = await context.layer('base', undefined, [file('shared', 'base'), file('gone')])
      const one = await context.layer('one', base, [file('shared', 'one'), remove('gone')])
      const two = await context.layer('two', base, [file('shared', 'two'), file('own')])
      const read = (id: LayerId): Promise<string> =>
        context.within(id, (root) => readFileSync(`${root}/shared`, 'utf8'))
      assert.deepEqual([await read(base), await read(one), await read(two)], ['base', 'one', 'two'])
      await context.within(one, (root) => assert.deepEqual(readdirSync(root), ['shared']))
      await context.within(two, (root) =>
        assert.deepEqual(readdirSync(root).toSorted(), ['gone', 'own', 'shared']),
      )
    },
  },
  {
    name: 'bases-apart',
    title: 'two layers without a parent share nothing',
    async run(context) {
      await context.layer('one', undefined, [file('one')])
      const two = await context.layer('two')
      await context.within(two, (root) => assert.deepEqual(readdirSync(root), []))
    },
  },
  {
    name: 'read-write-layer',
    title: 'a layer made for a container starts as its parent and can be written',
    async run(context) {
      const recipe = [file('f', 'base'), directory('d')]
      const base = await context.layer('base', undefined, recipe)
      const container = await context.writable('container', base)
      await context.shows(container, recipe)
      await context.within(container, (root) => {
        writeFileSync(`${root}/d/new`, 'written')
        writeFileSync(`${root}/f`, 'changed')
      })
      await context.within(container, (root) => {
        assert.equal(readFileSync(`${root}/d/new`, 'utf8'), 'written')
        assert.equal(readFileSync(`${root}/f`, 'utf8'), 'changed')
      })
    },
  },
  {
    name: 'removed',
    title: 'a removed layer does not exist, is not listed and cannot be mounted',
    async run(context) {
      const { driver } = context
      const layer = await context.layer('layer', undefined, [directory('d'), file('d/f')])
      await driver.remove(layer)
      assert.equal(await driver.exists(layer), false)
      assert.deepEqual(await idsOf(context.driver), [])
      await assert.rejects(driver.get(layer), { code: 'GD_LAYER_NOT_FOUND' })
    },
  },
  {
    name: 'remove-child-keeps-parent',
    title: 'removing a child leaves its parent and its siblings whole',
    async run(context) {
      const recipe = [directory('d'), file('d/f')]
      const base = await context.layer('base', undefined, recipe)
      const child = await context.layer('child', base, [file('d/g'), remove('d/f')])
      const sibling = await context.layer('sibling', base)
      await context.driver.remove(child)
      await context.shows(base, recipe)
      await context.shows(sibling, recipe)
    },
  },
  {
    name: 'remove-twice',
    title: 'removing a layer again, or one that never was, succeeds',
    async run({ driver, id }) {
      await driver.create(id('layer'))
      await driver.remove(id('layer'))
      await driver.remove(id('layer'))
      await driver.remove(id('never'))
    },
  },
  {
    name: 'remove-after-commit',
    title: 'a layer that was built on and whose child is gone can be removed',
    seen: 'a check that containerd names and does not have: remove after commit',
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, [file('f')])
      const child = await context.layer('child', base, [remove('f')])
      await context.within(child, () => undefined)
      await driver.remove(child)
      await driver.remove(base)
      assert.deepEqual(await idsOf(context.driver), [])
    },
  },
  {
    name: 'id-reused',
    title: 'an id can be used again after removal, and the new layer has nothing of the old one',
    seen: 'containerd Remove',
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, [file('from-base')])
      const layer = await context.layer('layer', base, [file('old')])
      await driver.remove(layer)
      await driver.create(layer)
      await context.within(layer, (root) => assert.deepEqual(readdirSync(root), []))
      await driver.remove(layer)
      await driver.create(layer, { parent: base })
      await context.within(layer, (root) => assert.deepEqual(readdirSync(root), ['from-base']))
    },
  },
  {
    name: 'listed',
    title: 'layers lists every layer once, and none that was removed',
    seen: 'containers/storage ListLayers',
    async run(context) {
      const { driver, id } = context
      assert.deepEqual(await idsOf(context.driver), [])
      await context.layer('a')
      await context.layer('b', id('a'), [file('f')])
      await context.writable('c', id('b'))
      await context.layer('d')
      await driver.remove(id('d'))
      assert.deepEqual(await idsOf(context.driver), ['a', 'b', 'c'])
    },
  },
  {
    name: 'remove-during-walk',
    title: 'layers may be removed while they are being listed',
    seen: 'a check that containerd names and does not have: remove during walk',
    async run(context) {
      const { driver, id } = context
      const names = Array.from({ length: 40 }, (_, index) => `layer${index}`)
      for (const name of names) await driver.create(id(name))
      const seen: string[] = []
      for await (const layer of driver.layers()) {
        seen.push(layer)
        await driver.remove(layer)
      }
      assert.deepEqual(seen.toSorted(), names.toSorted())
      assert.deepEqual(await idsOf(context.driver), [])
    },
  },
  {
    name: 'long-id',
    title: 'an id of 128 characters, with every character that an id may have, names a layer',
    async run(context) {
      const { driver, id } = context
      const longest = id(`A0_.-${'z'.repeat(123)}`)
      const child = id(`child-${'9'.repeat(122)}`)
      await driver.create(longest)
      await context.within(longest, (root) => writeFileSync(`${root}/f`, ''))
      await driver.create(child, { parent: longest })
      await context.within(child, (root) => assert.deepEqual(readdirSync(root), ['f']))
      assert.deepEqual(await idsOf(context.driver), [longest, child].toSorted())
      await driver.remove(child)
      await driver.remove(longest)
      assert.deepEqual(await idsOf(context.driver), [])
    },
  },
  {
    name: 'similar-ids',
    title: 'ids that begin alike or differ in case only are different layers',
    needs: unixNames,
    async run(context) {
      for (const name of ['a', 'A', 'aa', 'a.', 'a-', 'a-init'])
        await context.layer(name, undefined, [file(name)])
      await context.driver.remove(context.id('a'))
      for (const name of ['A', 'aa', 'a.', 'a-', 'a-init']) {
        await context.within(context.id(name), (root) => assert.deepEqual(readdirSync(root), [name]))
      }
    },
  },
  {
    name: 'metadata',
    title: 'metadata of a layer is a record of texts, and paths in it are below the home',
    async run(context) {
      const { driver } = context
      const base = await context.layer('base')
      const child = await context.layer('child', base)
      for (const id of [base, child]) {
        for (const [key, value] of Object.entries(await driver.metadata(id))) {
          assert.equal(typeof value, 'string', key)
          for (const part of value.split(':')) {
            if (part.startsWith('/')) assert(part.startsWith(`${driver.home}/`), `${key}: ${part}`)
          }
        }
      }
    },
  },
  {
    name: 'status',
    title: 'the driver describes itself in rows of two texts, none of them twice',
    async run({ driver }) {
      const rows = await driver.status()
      assert(rows.length > 0, 'no rows')
      for (const row of rows) {
        assert.equal(row.length, 2)
        for (const cell of row) assert.equal(typeof cell, 'string')
      }
      assert.equal(new Set(rows.map(([key]) => key)).size, rows.length, 'a key is there twice')
    },
  },
  {
    name: 'name-and-home',
    title: 'the driver has the name of its definition, and keeps everything in its own directory',
    async run(context) {
      const { driver, subject, root } = context
      assert.equal(driver.name, subject.definition.name)
      assert.equal(driver.home, path.join(root, subject.definition.name))
      await context.layer('layer', undefined, [file('f')])
      assert.deepEqual(readdirSync(root), [subject.definition.name])
    },
  },
  {
    name: 'capabilities-constant',
    title: 'capabilities do not change while the driver is open, and another instance says the same',
    seen: 'abstract-level: what is advertised is what is tested',
    async run(context) {
      const { driver } = context
      const before = structuredClone(driver.capabilities)
      await context.layer('layer', undefined, [file('f')])
      assert.deepEqual(driver.capabilities, before)
      assert.deepEqual((await context.reopen()).capabilities, before)
    },
  },
  {
    name: 'many-children',
    title: 'a parent may have a hundred children, each with its own content',
    async run(context) {
      const { driver, id } = context
      const base = await context.layer('base', undefined, [file('f', 'base')])
      const names = Array.from({ length: 100 }, (_, index) => `child${index}`)
      for (const name of names) {
        await driver.create(id(name), { parent: base })
        await context.within(id(name), (root) => writeFileSync(`${root}/own`, name))
      }
      for (const name of names) {
        await context.within(id(name), (root) => {
          assert.deepEqual(readdirSync(root).toSorted(), ['f', 'own'])
          assert.equal(readFileSync(`${root}/own`, 'utf8'), name)
        })
      }
    },
  },
  {
    name: 'child-of-mounted-parent',
    title: 'a child can be made while its parent is mounted, and has what was written before',
    async run(context) {
      const base = await context.layer('base', undefined, [file('f')])
      await context.within(base, async (root) => {
        const child = await context.layer('child', base)
        await context.within(child, (shown) => context.sameTree(root, shown))
      })
    },
  },
)
