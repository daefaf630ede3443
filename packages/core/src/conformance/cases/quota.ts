/** A layer with a `size`: a promise that is kept, or refused. */
import assert from 'node:assert/strict'
import { lchownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { casesOf, type ConformanceCase } from '../case.ts'
import {
  assertRefused,
  fits,
  isFull,
  limits,
  limitsNothing,
  mebibyte,
  refuses,
  size,
  sized,
  soon,
  tooMuch,
  write,
} from './limits.ts'
import { namesBelow } from '../listing.ts'
import { asOrdinaryUser, ordinaryId, ordinaryUser } from '../host/ordinary-user.ts'
import { perform } from '../recipe/perform.ts'
import { directory, file, type Recipe, remove } from '../recipe/step.ts'
import { readTar } from '../tar/read-tar.ts'

/** Fills a layer until it takes no more, which must be soon. */
function fill(root: string): void {
  refuses(`${root}/filling`, tooMuch)
}

export const quota: readonly ConformanceCase[] = casesOf(
  'quota',
  {
    name: 'refused-where-none',
    title: 'a driver that cannot keep to a size refuses it by name and makes nothing',
    seen: 'moby#51172, containerd#759: a size that is taken and has no effect',
    needs: limitsNothing,
    run: (context) => assertRefused(context, 'size', size),
  },
  {
    name: 'malformed-size',
    title: 'a size that is no size is refused by name, and nothing is made',
    async run(context) {
      for (const limit of ['', 'a lot', '-1', '10Q', '1.2.3M', '0x10', '10M,rw']) {
        await assertRefused(context, 'size', limit)
      }
    },
  },
  {
    name: 'limit',
    title: 'a layer takes what its size allows, and refuses more with EDQUOT or ENOSPC',
    seen: 'moby graphtest SetQuota',
    needs: limits,
    async run(context) {
      const base = await context.layer('base', undefined, [file('f')])
      const layer = await sized(context, 'layer', size, base)
      await context.within(layer, (root) => {
        write(`${root}/big`, fits)
        refuses(`${root}/big`, tooMuch - fits)
      })
    },
  },
  {
    name: 'full-layer-recovers',
    title: 'a layer that is full can be read, emptied and written again',
    seen: 'moby#29364',
    needs: limits,
    async run(context) {
      const layer = await sized(context, 'layer')
      await context.within(layer, async (root) => {
        writeFileSync(`${root}/early`, 'early')
        fill(root)
        assert.equal(readFileSync(`${root}/early`, 'utf8'), 'early')
        rmSync(`${root}/filling`)
        await soon(() => {
          rmSync(`${root}/late`, { force: true })
          write(`${root}/late`, fits)
        })
        assert.deepEqual(readdirSync(root).toSorted(), ['early', 'late'])
        assert.equal(readFileSync(`${root}/late`).length, fits * mebibyte)
      })
    },
  },
  {
    name: 'others-unlimited',
    title: 'a full layer takes nothing from its siblings, nor from layers on its parent without a size',
    needs: limits,
    async run(context) {
      const base = await context.layer('base', undefined, [file('f')])
      const full = await sized(context, 'full', size, base)
      // A device has a size, whoever asked for one.
      const isDevice = context.driver.capabilities.quota === 'device'
      const free = isDevice
        ? await sized(context, 'free', '150M', base)
        : await context.writable('free', base)
      await context.within(full, async (root) => {
        fill(root)
        await context.within(free, (other) => write(`${other}/big`, tooMuch))
      })
    },
  },
  {
    name: 'own-sizes',
    title: 'two layers of one parent have each their own size',
    needs: limits,
    async run(context) {
      const base = await context.layer('base', undefined, [file('f')])
      const small = await sized(context, 'small', '30M', base)
      const large = await sized(context, 'large', '90M', base)
      await context.within(small, (root) => refuses(`${root}/big`, 60))
      await context.within(large, (root) => write(`${root}/big`, 60))
      await context.within(small, (root) => assert.throws(() => write(`${root}/more`, 60), isFull))
    },
  },
  {
    name: 'after-remount',
    title: 'a size holds after the layer is unmounted and mounted again',
    needs: limits,
    async run(context) {
      const layer = await sized(context, 'layer')
      await context.within(layer, (root) => write(`${root}/big`, fits))
      await context.within(layer, (root) => refuses(`${root}/big`, tooMuch - fits))
    },
  },
  {
    name: 'in-another-instance',
    title: 'a size holds for a driver that was opened after the layer was made',
    needs: limits,
    async run(context) {
      const layer = await sized(context, 'layer')
      const other = await context.reopen()
      await using mount = await other.get(layer)
      write(`${mount.path}/big`, fits)
      refuses(`${mount.path}/big`, tooMuch - fits)
    },
  },
  {
    name: 'ordinary-user',
    title: 'a size holds an ordinary user as it holds root',
    seen: 'moby#29364',
    needs: limits,
    requires: [...ordinaryUser, { command: 'dd', package: 'coreutils' }],
    async run(context) {
      const layer = await sized(context, 'layer')
      await context.within(layer, async (root) => {
        mkdirSync(`${root}/own`)
        lchownSync(`${root}/own`, ordinaryId, ordinaryId)
        const dd = (count: number): Promise<string> =>
          asOrdinaryUser(
            `${root}/own`,
            'dd',
            'if=/dev/zero',
            'of=big',
            'bs=1M',
            'conv=fsync',
            `count=${count}`,
          )
        await dd(fits)
        await assert.rejects(dd(tooMuch), /No space left on device|Disk quota exceeded/)
      })
    },
  },
  {
    name: 'starts-as-parent',
    title: 'a layer with a size starts as its parent, owner and mode of the root included',
    needs: limits,
    async run(context) {
      const recipe: Recipe = [directory('d', { mode: 0o1750 }), file('d/f', 'content', { mode: 0o4755 })]
      const base = await context.layer('base', undefined, recipe)
      await context.shows(await sized(context, 'layer', size, base), recipe)
    },
  },
  {
    name: 'diff',
    title: 'the diff of a layer with a size has what was written in it, and nothing else',
    needs: limits,
    async run(context) {
      const [below, above]: readonly [Recipe, Recipe] = [
        [file('kept'), file('gone')],
        [remove('gone'), file('new')],
      ]
      const base = await context.layer('base', undefined, below)
      const layer = await sized(context, 'layer', size, base)
      await context.within(layer, (root) => perform(root, above, 1))
      const entries = await readTar(context.driver.diff(layer, base))
      assert.deepEqual(entries.map(({ name }) => name).toSorted(), ['.wh.gone', 'new'])
      const applied = await context.transplant('applied', base, layer, base)
      await context.showsApplied(applied, below, above)
    },
  },
  {
    name: 'content-kept',
    title: 'what a container keeps at the root of a layer with a size is there after a remount',
    needs: limits,
    async run(context) {
      const layer = await sized(context, 'layer')
      // The name that ext4 uses itself is as good as any other.
      await context.within(layer, (root) => {
        mkdirSync(`${root}/lost+found`)
        writeFileSync(`${root}/lost+found/f`, 'kept')
      })
      await context.within(layer, (root) => {
        assert.deepEqual(readdirSync(root), ['lost+found'])
        assert.equal(readFileSync(`${root}/lost+found/f`, 'utf8'), 'kept')
      })
    },
  },
  {
    name: 'removed',
    title: 'a layer with a size is removed, full and mounted as it is, with everything that it cost',
    needs: limits,
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, [file('f')])
      // A driver may note in a layer that it has had a child.
      await driver.remove(await context.layer('first', base))
      const before = namesBelow(driver.home)
      const layer = await sized(context, 'layer', size, base)
      await using mount = await driver.get(layer)
      fill(mount.path)
      await driver.remove(layer)
      assert.deepEqual(namesBelow(driver.home), before)
    },
  },
)
