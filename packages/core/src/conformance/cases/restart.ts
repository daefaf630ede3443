/** What one process leaves to the next, whether it ended or was killed, and what two on one root see of each other. */
import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Driver } from '../../driver.ts'
import { type LayerId, parseLayerId } from '../../id.ts'
import { type CaseBody, casesOf, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { mountsBelow } from '../host/mount-table.ts'
import { killedAfter, type Told } from '../killed.ts'
import { idsOf, namesBelow } from '../listing.ts'
import { append, attributes, directory, file, type Recipe, symlink } from '../recipe/step.ts'
import { soon } from '../soon.ts'
import { collect } from '../tar/read-tar.ts'
import { appliedContent, appliedFiles, appliedTar, recipeOf } from '../victim-order.ts'

const below: Recipe = [
  directory('d', { mode: 0o1755 }),
  file('d/f', 'below'),
  file('kept', 'kept', { mode: 0o4750 }),
]
const above: Recipe = [append('d/f', 'above'), attributes('kept', { mode: 0o600 }), symlink('new', 'kept')]

/** A layer and its parent, and what they show. Nothing is deleted: a marker of that has the time of the diff. */
async function stacked(context: CaseContext): Promise<readonly [base: LayerId, top: LayerId]> {
  const [base, top] = await context.stack('layer', below, above)
  assert(top !== undefined)
  return [base, top]
}

/** Fails unless a layer shows, through this instance, what the recipes make. */
async function shows(
  context: CaseContext,
  driver: Driver,
  id: LayerId,
  ...recipes: readonly Recipe[]
): Promise<void> {
  const oracle = await context.oracle(...recipes)
  await using mount = await driver.get(id)
  await context.sameTree(oracle, mount.path)
}

/** Ends the first instance, and opens the home as the next process does. */
async function restarted(context: CaseContext): Promise<Driver> {
  await context.driver.cleanup()
  return context.reopen()
}

function about(told: Told, word: string): readonly string[] {
  return told.flatMap((line) => (line.startsWith(`${word} `) ? [line.slice(word.length + 1)] : []))
}

function numberOf(id: string): number {
  return Number(/\d+$/.exec(id)?.[0])
}

/** Children before their parents. */
async function removeAll(driver: Driver): Promise<void> {
  const ids = await idsOf(driver)
  for (const id of ids.toSorted((a, b) => numberOf(b) - numberOf(a))) await driver.remove(id)
}

async function survivesKill(context: CaseContext, steps: number): Promise<void> {
  const before = namesBelow(context.driver.home)
  const told = await killedAfter(context, 'layers', steps)
  const next = await context.reopen()
  const removing = about(told, 'step remove')
  const whole = about(told, 'whole').filter((id) => !removing.includes(id))
  const listed = await idsOf(next)
  for (const id of about(told, 'gone')) assert.equal(await next.exists(parseLayerId(id)), false, id)
  for (const id of whole.map(parseLayerId)) {
    assert(listed.includes(id), `${id} was made, and is not listed`)
    const number = numberOf(id)
    const recipes = number % 2 === 0 ? [recipeOf(number)] : [recipeOf(number - 1), recipeOf(number)]
    await shows(context, next, id, ...recipes)
  }
  await removeAll(next)
  assert.deepEqual(await idsOf(next), [])
  assert.deepEqual(mountsBelow(context.root), [])
  await soon(() => assert.deepEqual(namesBelow(next.home), before))
}

const kills: readonly CaseBody[] = [1, 2, 3, 5, 8, 13].map((steps) => ({
  name: `killed-in-step-${steps}`,
  title: `a process that was killed in step ${steps} of making, mounting and removing layers leaves what is whole`,
  seen: 'moby, containerd and others kill the daemon as a whole; none kills a driver in the middle of a call',
  run: (context) => survivesKill(context, steps),
}))

export const restart: readonly ConformanceCase[] = casesOf(
  'restart',
  {
    name: 'layers-kept',
    title: 'after a restart every layer has its content and attributes',
    seen: 'moby layer store, StoreRestore',
    async run(context) {
      const [base, top] = await stacked(context)
      const next = await restarted(context)
      assert.deepEqual(await idsOf(next), [base, top].toSorted())
      await shows(context, next, base, below)
      await shows(context, next, top, below, above)
    },
  },
  {
    name: 'diffs-kept',
    title: 'after a restart the diff of a layer against its parent is the same byte for byte',
    async run(context) {
      const [base, top] = await stacked(context)
      const diffs = async (driver: Driver): Promise<readonly Buffer[]> => [
        await collect(driver.diff(base, undefined)),
        await collect(driver.diff(top, base)),
        await collect(driver.diff(top, undefined)),
      ]
      const before = await diffs(context.driver)
      const after = await diffs(await restarted(context))
      for (const [index, diff] of before.entries())
        assert(after[index]?.equals(diff) === true, `diff ${index} is another one`)
    },
  },
  {
    name: 'children-on-earlier-layers',
    title: 'after a restart layers can be built on those that are there',
    async run(context) {
      const [base, top] = await stacked(context)
      const next = await restarted(context)
      const child = context.id('child')
      await next.create(child, { parent: top })
      const sibling = context.id('sibling')
      await next.applyDiff(await created(next, sibling, base), base, next.diff(top, base))
      assert.deepEqual(await next.changes(child, top), [])
      assert.deepEqual(await next.changes(sibling, base), await next.changes(top, base))
      await using mount = await next.get(child)
      assert.equal(readFileSync(`${mount.path}/d/f`, 'utf8'), 'belowabove')
    },
  },
  {
    name: 'mount-joined',
    title: 'a mount that the earlier process left is joined, and takes one put more than gets to go',
    seen: 'moby live-restore',
    async run(context) {
      const [, top] = await stacked(context)
      const left = await context.driver.get(top)
      writeFileSync(`${left.path}/written`, 'before')
      const mounted = mountsBelow(context.root)
      const next = await restarted(context)
      assert.deepEqual(mountsBelow(context.root), mounted, 'the mount of a running container is gone')
      {
        await using joined = await next.get(top)
        assert.equal(joined.path, left.path)
        assert.equal(readFileSync(`${joined.path}/written`, 'utf8'), 'before')
        assert.deepEqual(mountsBelow(context.root), mounted)
      }
      assert.deepEqual(mountsBelow(context.root), mounted, 'one put unmounted what two hold')
      assert.equal(readFileSync(`${left.path}/written`, 'utf8'), 'before')
      await next.put(top)
      assert.deepEqual(mountsBelow(context.root), [])
    },
  },
  {
    name: 'put-of-left-mount',
    title: 'a put after a restart, without any get, unmounts what the earlier process left',
    async run(context) {
      const [, top] = await stacked(context)
      await context.driver.get(top)
      const next = await restarted(context)
      await next.put(top)
      assert.deepEqual(mountsBelow(context.root), [])
      await shows(context, next, top, below, above)
    },
  },
  {
    name: 'remove-of-left-mount',
    title: 'removing a layer after a restart takes a mount with it that the earlier process left',
    async run(context) {
      const [base, top] = await stacked(context)
      await context.driver.get(top)
      await context.driver.get(top)
      const next = await restarted(context)
      await next.remove(top)
      assert.deepEqual(mountsBelow(context.root), [])
      assert.deepEqual(await idsOf(next), [base])
    },
  },
  {
    name: 'made-by-either',
    title: 'what one instance makes the other sees, mounts and builds on, without being opened again',
    async run(context) {
      const { driver, id } = context
      const other = await context.reopen()
      await driver.create(id('one'))
      await context.within(id('one'), (root) => writeFileSync(`${root}/one`, ''))
      await other.create(id('two'), { parent: id('one') })
      {
        await using mount = await other.get(id('two'))
        writeFileSync(`${mount.path}/two`, '')
      }
      await driver.create(id('three'), { parent: id('two') })
      await context.within(id('three'), (root) =>
        assert.deepEqual(readdirSync(root).toSorted(), ['one', 'two']),
      )
      const all = [id('one'), id('three'), id('two')]
      for (const instance of [driver, other]) {
        assert.deepEqual(await idsOf(instance), all)
        for (const layer of all) assert.equal(await instance.exists(layer), true, layer)
      }
    },
  },
  {
    name: 'removed-by-either',
    title: 'what one instance removes is gone for the other, without being opened again',
    async run(context) {
      const { driver } = context
      const other = await context.reopen()
      for (const [maker, remover] of [
        [driver, other],
        [other, driver],
      ] as const) {
        const id = context.id('layer')
        await maker.create(id)
        {
          await using mount = await maker.get(id)
          writeFileSync(`${mount.path}/f`, '')
        }
        await remover.remove(id)
        for (const instance of [driver, other]) {
          assert.equal(await instance.exists(id), false)
          assert.deepEqual(await idsOf(instance), [])
          await assert.rejects(instance.get(id), { code: 'GD_LAYER_NOT_FOUND' })
        }
      }
    },
  },
  {
    name: 'opened-twice',
    title: 'a fresh root can be opened by several at once',
    async run(context) {
      const root = path.join(context.directory, 'fresh')
      const [one, two, three] = await Promise.all([
        context.reopen(root),
        context.reopen(root),
        context.reopen(root),
      ])
      await one.create(context.id('layer'))
      await two.create(context.id('child'), { parent: context.id('layer') })
      assert.deepEqual(await idsOf(three), ['child', 'layer'])
    },
  },
  {
    name: 'home-emptied',
    title: 'a home that was emptied between two processes is set up again',
    async run(context) {
      const { driver, id } = context
      await context.layer('layer', undefined, [file('f')])
      await driver.remove(id('layer'))
      await driver.cleanup()
      for (const name of readdirSync(driver.home)) rmSync(path.join(driver.home, name), { recursive: true })
      const next = await context.reopen()
      assert.deepEqual(await idsOf(next), [])
      await next.create(id('layer'))
      await next.create(id('child'), { parent: id('layer') })
      await using mount = await next.get(id('child'))
      assert.deepEqual(readdirSync(mount.path), [])
    },
  },
  {
    name: 'strangers-in-home',
    title: 'files and directories in the home that are not the driver’s are neither layers nor harmed',
    async run(context) {
      const { driver } = context
      const strangers = ['lost+found', 'stranger', '.nfs0000', 'README']
      for (const name of ['lost+found', 'stranger']) mkdirSync(path.join(driver.home, name))
      for (const name of ['lost+found/#12', '.nfs0000', 'README'])
        writeFileSync(path.join(driver.home, name), name)
      const next = await restarted(context)
      assert.deepEqual(await idsOf(next), [])
      const id = context.id('layer')
      await next.create(id)
      assert.deepEqual(await idsOf(next), [id])
      await next.remove(id)
      for (const name of strangers) assert(existsSync(path.join(driver.home, name)), `${name} is gone`)
      assert.equal(readFileSync(path.join(driver.home, 'lost+found/#12'), 'utf8'), 'lost+found/#12')
    },
  },
  {
    name: 'mount-point-left',
    title:
      'a mount point on which a killed process has not yet mounted anything stops neither get nor remove',
    async run(context) {
      const [base, top] = await stacked(context)
      const leave = async (driver: Driver): Promise<void> => {
        const { path: point } = await driver.get(top)
        await driver.put(top)
        mkdirSync(point, { recursive: true })
      }
      await leave(context.driver)
      const next = await restarted(context)
      await shows(context, next, top, below, above)
      assert.deepEqual(mountsBelow(context.root), [])
      await leave(next)
      await next.remove(top)
      assert.deepEqual(await idsOf(next), [base])
    },
  },
  ...kills,
  {
    name: 'killed-applying',
    title:
      'a process that was killed in the middle of a tar leaves a layer that can be removed and made again',
    async run(context) {
      const { driver, id } = context
      const base = await context.layer('base', undefined, below)
      // Whatever a driver writes down once, such as that the layer below has had a child.
      const target = await created(driver, id('target'), base)
      await driver.remove(target)
      const before = namesBelow(driver.home)
      await killedAfter(context, 'apply', 50)
      const next = await context.reopen()
      await shows(context, next, base, below)
      await next.remove(target)
      assert.deepEqual(await idsOf(next), [base])
      await soon(() => assert.deepEqual(namesBelow(driver.home), before))
      await next.applyDiff(await created(next, target, base), base, asynchronous(appliedTar()))
      await using mount = await next.get(target)
      assert.equal(readdirSync(mount.path).length, appliedFiles + 2)
      for (let index = 0; index < appliedFiles; index++) {
        assert(readFileSync(`${mount.path}/file${index}`).equals(appliedContent(index)), `file${index}`)
      }
    },
  },
  {
    name: 'killed-removing',
    title: 'a layer whose removal was cut short by a kill can be removed, and nothing of it stays',
    async run(context) {
      const { driver, id } = context
      const base = await context.layer('base', undefined, below)
      const target = await created(driver, id('target'), base)
      await driver.remove(target)
      const before = namesBelow(driver.home)
      const many = Array.from({ length: 300 }, (_, index) => file(`d/file${index}`))
      await context.layer('target', base, many)
      await killedAfter(context, 'remove', 1)
      const next = await context.reopen()
      await next.remove(target)
      assert.equal(await next.exists(target), false)
      assert.deepEqual(await idsOf(next), [base])
      await soon(() => assert.deepEqual(namesBelow(driver.home), before))
      await shows(context, next, base, below)
    },
  },
)

async function created(driver: Driver, id: LayerId, parent: LayerId): Promise<LayerId> {
  await driver.create(id, { parent })
  return id
}

async function* asynchronous(chunks: Iterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  yield* chunks
}
