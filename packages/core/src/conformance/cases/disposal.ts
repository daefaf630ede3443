/** What is let go is let go: drivers, mounts, streams and listings, in whatever order and however often. */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Driver } from '../../driver.ts'
import type { LayerId } from '../../id.ts'
import { casesOf, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { command } from '../host/command.ts'
import { mountsBelow } from '../host/mount-table.ts'
import { CannotRun } from '../lab.ts'
import { openFilesBelow } from '../leaks.ts'
import { file, type Recipe } from '../recipe/step.ts'

const small: Recipe = [file('f', 'Some data')]
/** More than any driver reads ahead, so that a reader who leaves is surely in the middle. */
const large: Recipe = [file('a', { bytes: 6_000_000, seed: 1 }), file('b', { bytes: 2_000_000, seed: 2 })]

/** A child of a small layer, with a large difference to it. */
async function largeDifference(context: CaseContext): Promise<readonly [base: LayerId, child: LayerId]> {
  const [base, child] = await context.stack('l', small, large)
  assert(child !== undefined)
  return [base, child]
}

async function childOfSmall(context: CaseContext): Promise<LayerId> {
  const [, child] = await context.stack('l', small, [])
  assert(child !== undefined)
  return child
}

/** Opens a driver, uses all of it, disposes it, and must then end. Should something hold it, it says what. */
const program = `
  const [module, root, options] = process.argv.slice(1)
  const { default: definition } = await import(module)
  const driver = await definition.open({
    root,
    home: root + '/' + definition.name,
    options: definition.parse(JSON.parse(options)),
  })
  await driver.create('base')
  await driver.create('child', { parent: 'base' })
  await (await driver.get('child'))[Symbol.asyncDispose]()
  for await (const _ of driver.diff('child', 'base')) break
  await driver.changes('child', 'base')
  await driver.remove('child')
  await driver[Symbol.asyncDispose]()
  console.log('disposed')
  setTimeout(() => {
    console.error('held by', process.getActiveResourcesInfo())
    process.exit(1)
  }, 2500).unref()
`

async function usedUp(driver: Driver): Promise<void> {
  await using used = driver
  await used.status()
}

function isIn(name: string, directory: string): boolean {
  return name === directory || name.startsWith(`${directory}/`)
}

export const disposal: readonly ConformanceCase[] = casesOf(
  'disposal',
  {
    name: 'cleanup-twice',
    title: 'cleaning a driver up again is harmless, in whatever way',
    async run(context) {
      const driver = await context.reopen()
      await driver.create(context.id('layer'))
      await driver.cleanup()
      await driver.cleanup()
      await driver[Symbol.asyncDispose]()
      await driver[Symbol.asyncDispose]()
    },
  },
  {
    name: 'disposing-is-cleanup',
    title: 'a driver that goes out of scope lets go of its files as cleanup does',
    async run(context) {
      const child = await childOfSmall(context)
      await context.driver.cleanup()
      const root = context.scratch('another')
      const driver = await context.reopen(root)
      await driver.create(child)
      await driver.changes(child, undefined)
      await usedUp(driver)
      assert.deepEqual(openFilesBelow(context.directory), [])
    },
  },
  {
    name: 'no-open-files',
    title: 'after cleanup nothing below the root is open',
    async run(context) {
      const [base, child] = await largeDifference(context)
      const { driver } = context
      await driver.changes(child, base)
      await driver.diffSize(child, base)
      await driver.metadata(child)
      await driver.status()
      await driver.cleanup()
      assert.deepEqual(openFilesBelow(context.root), [])
    },
  },
  {
    name: 'cleanup-keeps-data',
    title: 'cleanup deletes no layer, and the next one who opens the root sees all of them',
    async run(context) {
      const [base, child] = await context.stack('l', small, [file('g', 'More data')])
      assert(child !== undefined)
      const mounted = await context.driver.get(child)
      await mounted[Symbol.asyncDispose]()
      await context.driver.cleanup()
      const driver = await context.reopen()
      assert.deepEqual((await Array.fromAsync(driver.layers())).toSorted(), [base, child])
      await using shown = await driver.get(child)
      assert.deepEqual(readdirSync(shown.path).toSorted(), ['f', 'g'])
      assert.equal(readFileSync(`${shown.path}/f`, 'utf8'), 'Some data')
    },
  },
  {
    name: 'mount-after-remove',
    title: 'disposing a mount whose layer was removed is harmless',
    async run(context) {
      const { driver } = context
      const child = await childOfSmall(context)
      const before = mountsBelow(context.root)
      const mounts = [await driver.get(child), await driver.get(child)]
      await driver.remove(child)
      for (const mounted of mounts) await mounted[Symbol.asyncDispose]()
      assert.equal(await driver.exists(child), false)
      assert.deepEqual(mountsBelow(context.root), before)
    },
  },
  {
    name: 'mount-after-cleanup',
    title: 'a mount can be disposed after the driver was cleaned up, and is then unmounted',
    async run(context) {
      const { driver } = context
      const child = await childOfSmall(context)
      const before = mountsBelow(context.root)
      const mounted = await driver.get(child)
      await driver.cleanup()
      await mounted[Symbol.asyncDispose]()
      assert.deepEqual(mountsBelow(context.root), before)
    },
  },
  {
    name: 'mounted-during-cleanup',
    title: 'what is mounted when its driver is cleaned up stays whole, or is unmounted whole',
    async run(context) {
      const child = await childOfSmall(context)
      const before = mountsBelow(context.root)
      const mounted = await context.driver.get(child)
      const unmountable = mountsBelow(context.root).length > before.length
      await context.driver.cleanup()
      const isShown = !unmountable || mountsBelow(context.root).some((target) => isIn(mounted.path, target))
      if (isShown) {
        assert.deepEqual(readdirSync(mounted.path), ['f'])
        assert.equal(readFileSync(`${mounted.path}/f`, 'utf8'), 'Some data')
        writeFileSync(`${mounted.path}/new`, 'written')
        await mounted[Symbol.asyncDispose]()
        const driver = await context.reopen()
        await using again = await driver.get(child)
        assert.equal(readFileSync(`${again.path}/new`, 'utf8'), 'written')
      } else assert.deepEqual(mountsBelow(context.root), before)
    },
  },
  {
    name: 'process-ends',
    title: 'a process that used a driver and disposed it ends by itself',
    async run(context) {
      const { module, options, name } = context.subject
      if (module === undefined)
        throw new CannotRun('needs the module of the driver, for another process', [name])
      const root = context.scratch('another')
      const args = ['--input-type=module', '--eval', program, module, root, JSON.stringify(options)]
      assert.equal(await command(process.execPath, args), 'disposed\n')
    },
  },
  {
    name: 'diff-left-early',
    title: 'leaving a diff in the middle releases all that it held',
    async run(context) {
      const { driver } = context
      const [base, child] = await largeDifference(context)
      const before = mountsBelow(context.root)
      for (const parent of [base, undefined]) {
        for await (const chunk of driver.diff(child, parent)) {
          assert(chunk.length > 0)
          break
        }
        assert.deepEqual(mountsBelow(context.root), before)
        assert.deepEqual(openFilesBelow(context.root), [])
      }
      await driver.remove(child)
    },
  },
  {
    name: 'diff-thrown-out-of',
    title: 'an exception in the middle of a diff releases all that it held',
    async run(context) {
      const { driver } = context
      const [base, child] = await largeDifference(context)
      const before = mountsBelow(context.root)
      const consume = async (): Promise<void> => {
        for await (const _ of driver.diff(child, base)) throw new RangeError('enough')
      }
      await assert.rejects(consume(), RangeError)
      assert.deepEqual(mountsBelow(context.root), before)
      assert.deepEqual(openFilesBelow(context.root), [])
    },
  },
  {
    name: 'diff-returned-twice',
    title: 'a diff that was left can be left again, and takes nobody else’s reference',
    async run(context) {
      const { driver } = context
      const [base, child] = await largeDifference(context)
      const mounted = await context.mount(child)
      for (const parent of [base, undefined]) {
        const iterator = driver.diff(child, parent)[Symbol.asyncIterator]()
        assert.equal((await iterator.next()).done, false)
        await iterator.return?.()
        await iterator.return?.()
        assert.equal((await iterator.next()).done, true)
      }
      assert.deepEqual(readdirSync(mounted.path).toSorted(), ['a', 'b', 'f'])
    },
  },
  {
    name: 'diff-never-read',
    title: 'a diff of which nothing was read holds nothing',
    async run(context) {
      const { driver } = context
      const [base, child] = await largeDifference(context)
      const before = mountsBelow(context.root)
      driver.diff(child, base)
      const iterator = driver.diff(child, undefined)[Symbol.asyncIterator]()
      await iterator.return?.()
      assert.equal((await iterator.next()).done, true)
      assert.deepEqual(mountsBelow(context.root), before)
      assert.deepEqual(openFilesBelow(context.root), [])
    },
  },
  {
    name: 'layers-left-early',
    title: 'leaving the listing of layers in the middle closes what it had open',
    async run(context) {
      const { driver, id } = context
      for (const name of ['a', 'b', 'c']) await driver.create(id(name))
      for await (const layer of driver.layers()) {
        assert.equal(await driver.exists(layer), true)
        break
      }
      assert.deepEqual(openFilesBelow(context.root), [])
    },
  },
  {
    name: 'two-roots',
    title: 'two drivers on two roots do not disturb each other, even with the same ids',
    async run(context) {
      const other = await context.reopen(path.join(context.directory, 'other'))
      const child = await childOfSmall(context)
      await other.create(child)
      const [here, there] = [await context.mount(child), await context.mount(child, other)]
      assert.notEqual(here.path, there.path)
      writeFileSync(`${there.path}/own`, 'there')
      assert.deepEqual(readdirSync(here.path), ['f'])
      await other.put(child)
      await other.remove(child)
      assert.equal(readFileSync(`${here.path}/f`, 'utf8'), 'Some data')
      await other.cleanup()
      assert.equal(readFileSync(`${here.path}/f`, 'utf8'), 'Some data')
      await here[Symbol.asyncDispose]()
      await context.shows(child, small)
    },
  },
)
