/** What must be as before when calls have returned: on disk, in the kernel, in this process. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import path from 'node:path'
import type { Driver } from '../../driver.ts'
import type { LayerId } from '../../id.ts'
import { casesOf, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { command } from '../host/command.ts'
import { takeSpace } from '../host/take-space.ts'
import { mountsBelow } from '../host/mount-table.ts'
import { CannotRun } from '../lab.ts'
import { attachedBelow } from '../host/loop-devices.ts'
import { childProcesses, openFilesBelow } from '../leaks.ts'
import { idsOf, namesBelow } from '../listing.ts'
import { append, directory, file, type Recipe, remove } from '../recipe/step.ts'
import { soon } from '../soon.ts'
import { inChunks, rawTar } from '../tar/raw-tar.ts'
import { collect } from '../tar/read-tar.ts'

const below: Recipe = [directory('d'), file('d/f', { bytes: 200_000, seed: 1 }), file('d/gone')]
const above: Recipe = [append('d/f', 'more'), remove('d/gone'), file('g', { bytes: 200_000, seed: 2 })]

async function stacked(context: CaseContext): Promise<readonly [base: LayerId, top: LayerId]> {
  const [base, top] = await context.stack('layer', below, above)
  assert(top !== undefined)
  return [base, top]
}

/** Every call that a driver has, each awaited, with the name of what was called; at the end no layer is left. */
async function* everyCall({ id }: CaseContext, driver: Driver): AsyncGenerator<string, void, void> {
  const [base, top, copy] = [id('base'), id('top'), id('copy')]
  await driver.create(base)
  yield 'create'
  await driver.applyDiff(base, undefined, inChunks(rawTar({ name: 'd/' }, { name: 'd/f', data: 'f' })))
  yield 'applyDiff'
  await driver.createReadWrite(top, { parent: base })
  yield 'createReadWrite'
  const mount = await driver.get(top)
  yield 'get'
  const tar = await collect(driver.diff(top, base))
  yield 'diff'
  await driver.changes(top, base)
  yield 'changes'
  await driver.diffSize(top, base)
  yield 'diffSize'
  await mount[Symbol.asyncDispose]()
  yield 'put'
  await driver.create(copy, { parent: base })
  await driver.applyDiff(copy, base, inChunks(tar))
  yield 'applyDiff to a child'
  await driver.exists(top)
  await driver.metadata(top)
  await driver.status()
  await idsOf(driver)
  yield 'what only tells'
  await driver.remove(copy)
  await driver.remove(top)
  await driver.remove(base)
  yield 'remove'
}

async function callAll(context: CaseContext, driver: Driver = context.driver): Promise<void> {
  for await (const _ of everyCall(context, driver));
}

/** The kernel itself may take a file away: overlayfs clears its work directory with the next mount. */
function newNames({ home }: Driver, before: readonly string[]): readonly string[] {
  return namesBelow(home).filter((name) => !before.includes(name))
}

/** How many entries a directory of /proc has. */
function countIn(directory: string): number {
  try {
    return readdirSync(directory).length
  } catch {
    throw new CannotRun(`${directory} cannot be read`)
  }
}

async function freeSpace(volume: string): Promise<number> {
  const { bavail, bsize } = await statfs(volume)
  return bavail * bsize
}

/** Runs something while temporary files go to a directory of the case's own. */
async function withTemporaryFilesIn<T>(temporary: string, action: () => Promise<T>): Promise<T> {
  const before = process.env['TMPDIR']
  process.env['TMPDIR'] = temporary
  try {
    return await action()
  } finally {
    if (before === undefined) delete process.env['TMPDIR']
    else process.env['TMPDIR'] = before
  }
}

function stateOfProcess(): unknown {
  const mask = process.umask(0o022)
  process.umask(mask)
  return {
    mask,
    directory: process.cwd(),
    environment: { ...process.env },
    ids: [process.getuid?.(), process.geteuid?.(), process.getgid?.(), process.getegid?.()],
  }
}

async function assertNothingHeld({ directory, root }: CaseContext, when: string): Promise<void> {
  assert.deepEqual(mountsBelow(root), [], when)
  await soon(() => assert.deepEqual(openFilesBelow(directory), [], when))
}

export const leaks: readonly ConformanceCase[] = casesOf(
  'leaks',
  {
    name: 'descriptors',
    title: 'fifty mounts and unmounts open no more files than one, and none below the root',
    async run(context) {
      const [, top] = await stacked(context)
      const round = async (): Promise<void> => context.within(top, (root) => void readdirSync(root))
      await round()
      const before = countIn('/proc/self/fd')
      for (let rounds = 0; rounds < 50; rounds++) await round()
      await soon(() => {
        const now = countIn('/proc/self/fd')
        assert(now <= before, `${now} files are open, and were ${before}`)
        assert.deepEqual(openFilesBelow(context.root), [])
      })
    },
  },
  {
    name: 'descriptors-of-calls',
    title: 'no call leaves a file of the driver’s open when it has returned',
    async run(context) {
      for await (const call of everyCall(context, context.driver))
        await soon(() => assert.deepEqual(openFilesBelow(context.directory), [], call))
    },
  },
  {
    name: 'home-as-before',
    title: 'when all layers are removed the home has the files that it had before the first',
    async run(context) {
      const { driver } = context
      const before = namesBelow(driver.home)
      await callAll(context)
      assert.deepEqual(namesBelow(driver.home), before)
      const [base, top] = await stacked(context)
      const copy = await context.transplant('copy', base, top, base)
      for (const id of [copy, top, base]) await driver.remove(id)
      assert.deepEqual(namesBelow(driver.home), before)
    },
  },
  {
    name: 'failed-creates',
    title: 'a creation that is refused leaves no file in the home',
    async run(context) {
      const { driver, id } = context
      const [base, top] = await stacked(context)
      const before = namesBelow(driver.home)
      const refusals = [
        () => driver.create(id('new'), { parent: id('unknown') }),
        () => driver.createReadWrite(id('new'), { parent: id('unknown') }),
        () => driver.create(top, { parent: base }),
        () => driver.create(base),
        () => driver.create(id('new'), { parent: top, storageOptions: { 'no-such-option': '1' } }),
        () => driver.create(id('new'), { parent: top, signal: AbortSignal.abort() }),
      ]
      for (const refused of refusals) {
        await assert.rejects(refused)
        assert.deepEqual(namesBelow(driver.home), before, String(refused))
      }
    },
  },
  {
    name: 'failed-apply',
    title: 'of a layer whose tar was refused nothing is left once it is removed',
    async run(context) {
      const { driver, id } = context
      const base = await context.layer('base', undefined, below)
      const target = id('target')
      // Whatever a driver writes down once, such as that the layer below has had a child.
      await driver.create(target, { parent: base })
      await driver.remove(target)
      const before = namesBelow(driver.home)
      const whole = rawTar(
        { name: 'new/' },
        { name: 'new/f', data: Buffer.alloc(50_000, 1) },
        { name: 'd/.wh.f' },
      )
      const tars = [whole.subarray(0, 40_000), rawTar({ name: 'new/' }, { name: '../../out', data: 'out' })]
      for (const tar of tars) {
        await driver.create(target, { parent: base })
        await assert.rejects(driver.applyDiff(target, base, inChunks(tar)))
        await assertNothingHeld(context, 'after the refusal')
        await driver.remove(target)
        assert.deepEqual(namesBelow(driver.home), before)
      }
      await context.shows(base, below)
    },
  },
  {
    name: 'looking-leaves-nothing',
    title: 'calls that only look at layers leave no file in the home',
    async run(context) {
      const { driver } = context
      const [base, top] = await stacked(context)
      const before = namesBelow(driver.home)
      const pairs = [
        [base, undefined],
        [top, base],
        [top, undefined],
      ] as const
      for (const [id, parent] of pairs) {
        await collect(driver.diff(id, parent))
        await driver.changes(id, parent)
        await driver.diffSize(id, parent)
        await context.within(id, () => undefined)
        await driver.metadata(id)
      }
      await driver.status()
      await idsOf(driver)
      assert.deepEqual(newNames(driver, before), [])
    },
  },
  {
    name: 'temporary-directory',
    title: 'nothing of the driver’s stays in the system’s temporary directory',
    async run(context) {
      const temporary = context.scratch('temporary')
      await withTemporaryFilesIn(temporary, async () => {
        const driver = await context.reopen(path.join(context.directory, 'other'))
        for await (const call of everyCall(context, driver))
          assert.deepEqual(readdirSync(temporary), [], call)
        await driver.cleanup()
      })
      assert.deepEqual(readdirSync(temporary), [])
    },
  },
  {
    name: 'child-processes',
    title: 'no process that a call has started outlives the call',
    async run(context) {
      const before = childProcesses()
      for await (const call of everyCall(context, context.driver)) {
        const left = childProcesses().filter((pid) => !before.includes(pid))
        assert.deepEqual(left, [], call)
      }
    },
  },
  {
    name: 'loop-devices',
    title: 'no loop device stays attached to a file of a layer that is removed',
    async run(context) {
      // A pool may be in files, for as long as the driver is open.
      const before = attachedBelow(context.directory)
      await callAll(context)
      assert.deepEqual(attachedBelow(context.directory), before)
    },
  },
  {
    name: 'failed-get',
    title: 'a mount that is refused leaves nothing mounted and no file in the home',
    async run(context) {
      const { driver, id } = context
      const [, top] = await stacked(context)
      const before = namesBelow(driver.home)
      await assert.rejects(driver.get(id('unknown')), { code: 'GD_LAYER_NOT_FOUND' })
      await assert.rejects(driver.get(top, { signal: AbortSignal.abort() }))
      const controller = new AbortController()
      const getting = driver.get(top, { signal: controller.signal })
      controller.abort()
      // It may have been mounted before the signal came.
      const [end] = await Promise.allSettled([getting])
      if (end.status === 'fulfilled') await end.value[Symbol.asyncDispose]()
      await assertNothingHeld(context, 'after the refusals')
      assert.deepEqual(newNames(driver, before), [])
    },
  },
  {
    name: 'space-comes-back',
    title: 'what removed layers took on a small volume can be taken again, and again',
    requires: [
      { command: 'fallocate', package: 'util-linux' },
      { command: 'sync', package: 'coreutils' },
    ],
    async run(context) {
      const volume = await context.volume({ kind: 'small' })
      const driver = await context.reopen(path.join(volume, 'root'))
      const id = context.id('layer')
      // Twice what the volume has, in five parts.
      const size = Math.floor((await freeSpace(volume)) * 0.4)
      for (let round = 0; round < 5; round++) {
        await driver.create(id)
        {
          await using mount = await driver.get(id)
          await takeSpace(path.join(mount.path, 'file'), size)
        }
        await driver.remove(id)
        // A filesystem may give space back with its next commit only.
        await command('sync', ['--file-system', volume])
      }
    },
  },
  {
    name: 'abandoned-diffs',
    title: 'a diff that nobody reads, and one that is left early, hold nothing open and nothing mounted',
    async run(context) {
      const { driver } = context
      const [base, top] = await stacked(context)
      driver.diff(top, base)
      driver.diff(top, base)[Symbol.asyncIterator]()
      await assertNothingHeld(context, 'never read')
      const left = driver.diff(top, base)[Symbol.asyncIterator]()
      await left.return?.()
      await assertNothingHeld(context, 'left before the first chunk')
      for (const [id, parent] of [
        [top, base],
        [top, undefined],
        [base, undefined],
      ] as const) {
        const diff = driver.diff(id, parent)[Symbol.asyncIterator]()
        assert.equal((await diff.next()).done, false)
        await diff.return?.()
        await assertNothingHeld(context, 'left after the first chunk')
      }
      await driver.remove(top)
      assert.deepEqual(await idsOf(driver), [base])
    },
  },
  {
    name: 'process-state',
    title: 'no call changes the working directory, the umask, the environment or the user of the process',
    async run(context) {
      const before = stateOfProcess()
      for await (const call of everyCall(context, context.driver))
        assert.deepEqual(stateOfProcess(), before, call)
      const other = await context.reopen()
      await other.cleanup()
      assert.deepEqual(stateOfProcess(), before)
    },
  },
  {
    name: 'threads',
    title: 'a driver that is opened, used and closed again and again leaves no threads running',
    async run(context) {
      const rounds = 6
      const round = async (): Promise<void> => {
        const driver = await context.reopen()
        const layer = context.id('layer')
        await driver.create(layer)
        await collect(driver.diff(layer, undefined))
        await driver.remove(layer)
        await driver.cleanup()
      }
      // Node starts threads of its own with the first calls.
      await round()
      const before = countIn('/proc/self/task')
      for (let done = 0; done < rounds; done++) await round()
      const more = countIn('/proc/self/task') - before
      // The kernel may still be taking down those of the last round.
      assert(more < rounds, `${more} threads more after ${rounds} rounds`)
    },
  },
)
