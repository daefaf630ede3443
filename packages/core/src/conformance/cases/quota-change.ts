/** Limits beside that of bytes, what a layer has of them, and limits that change. */
import assert from 'node:assert/strict'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import type { Capabilities } from '../../capabilities.ts'
import type { Driver, Quota, Usage } from '../../driver.ts'
import { isGraphDriverError } from '../../error.ts'
import type { LayerId } from '../../id.ts'
import { casesOf, type ConformanceCase } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { command } from '../host/command.ts'
import { file } from '../recipe/step.ts'
import {
  assertRefused,
  fits,
  isFull,
  limits,
  mebibyte,
  refuses,
  size,
  sized,
  soon,
  tooMuch,
  write,
} from './limits.ts'

const inodes = 100

function limitsInodes({ inodeQuota }: Capabilities): string | undefined {
  return inodeQuota ? undefined : 'the number of files of a layer is not limited here'
}

function limitsNoInodes({ inodeQuota }: Capabilities): string | undefined {
  return inodeQuota ? 'the number of files of a layer is limited here' : undefined
}

async function setQuota(driver: Driver, layer: LayerId, quota: Quota): Promise<void> {
  assert(driver.setQuota !== undefined, 'the driver limits layers, and has no setQuota')
  await driver.setQuota(layer, quota)
}

/** What was written is counted when it is on disk. */
async function usageOf({ driver }: CaseContext, layer: LayerId, root: string): Promise<Usage> {
  assert(driver.usage !== undefined, 'the driver limits layers, and has no usage')
  await command('sync', ['-f', root])
  const usage = await driver.usage(layer)
  assert(usage !== undefined, `nothing is known of ${layer}`)
  return usage
}

function makeFiles(root: string, prefix: string, count: number): void {
  for (let index = 0; index < count; index++) writeFileSync(`${root}/${prefix}${index}`, '')
}

function refusedOption(option: string): (error: unknown) => boolean {
  return (error) => {
    assert(isGraphDriverError(error, 'GD_INVALID_OPTION'), String(error))
    assert.equal(error.details.option, option)
    return true
  }
}

/** Resolves to whether a change was refused by its option. @throws what it failed with, where that may not be */
async function isRefused(change: Promise<void>, mayBe = true): Promise<boolean> {
  try {
    await change
    return false
  } catch (error) {
    if (!mayBe) throw error
    return refusedOption('size')(error)
  }
}

/** A filesystem of a layer's own may have to be unmounted before it can grow; a count is just a number. */
function needsDevice({ driver }: CaseContext): boolean {
  return ['loop', 'device'].includes(driver.capabilities.quota)
}

function raise({ driver }: CaseContext, layer: LayerId): Promise<void> {
  return setQuota(driver, layer, { size: 120 * mebibyte })
}

/** What a layer that has `fits` takes when its size was raised. */
function fillMore(root: string): void {
  write(`${root}/more`, tooMuch)
  refuses(`${root}/filling`, tooMuch)
}

export const quotaChange: readonly ConformanceCase[] = casesOf(
  'quota',
  {
    name: 'inodes',
    title: 'a layer has as many files as its inodes allow, and no more, until some are removed',
    seen: 'containers/storage: overlay.inodes',
    needs: limitsInodes,
    async run(context) {
      const { driver } = context
      const base = await context.layer('base', undefined, [file('f')])
      const layer = context.id('layer')
      const storageOptions = { size, inodes: String(inodes) }
      await driver.createReadWrite(layer, { parent: base, storageOptions })
      await context.within(layer, async (root) => {
        mkdirSync(`${root}/d`)
        makeFiles(`${root}/d`, 'early', inodes / 2)
        assert.throws(() => makeFiles(root, 'late', 3 * inodes), isFull, `${3 * inodes} more were made`)
        rmSync(`${root}/d`, { recursive: true })
        await soon(() => makeFiles(root, 'again', inodes / 4))
      })
    },
  },
  {
    name: 'inodes-refused-where-none',
    title: 'a driver that cannot limit the number of files refuses inodes by name and makes nothing',
    needs: limitsNoInodes,
    run: (context) => assertRefused(context, 'inodes', String(inodes)),
  },
  {
    name: 'malformed-inodes',
    title: 'a number of inodes that is none is refused by name, and nothing is made',
    async run(context) {
      for (const limit of ['', '0', '-1', '1.5', '1k', '0x10', 'many'])
        await assertRefused(context, 'inodes', limit)
    },
  },
  {
    name: 'grown-while-mounted',
    title:
      'a full layer takes more when its size is raised, mounted as it is if its means can, and no more than that',
    seen: 'moby#33000: a limit that only a new container gets',
    needs: limits,
    async run(context) {
      const base = await context.layer('base', undefined, [file('f')])
      const layer = await sized(context, 'layer', size, base)
      await context.within(layer, async (root) => {
        write(`${root}/kept`, fits)
        refuses(`${root}/filling`, tooMuch)
        rmSync(`${root}/filling`)
        if (!(await isRefused(raise(context, layer), needsDevice(context)))) fillMore(root)
      })
      await raise(context, layer)
      await context.within(layer, (root) =>
        soon(() => {
          for (const name of ['filling', 'more']) rmSync(`${root}/${name}`, { force: true })
          fillMore(root)
        }),
      )
    },
  },
  {
    name: 'grown-is-kept',
    title: 'a raised size is that of the layer from then on, for another instance too',
    needs: limits,
    async run(context) {
      const layer = await sized(context, 'layer')
      await raise(context, layer)
      const other = await context.reopen()
      await using mount = await other.get(layer)
      write(`${mount.path}/big`, tooMuch)
      refuses(`${mount.path}/big`, tooMuch)
    },
  },
  {
    name: 'shrunk',
    title: 'a size below what a layer has is kept to, or refused by name; nothing of the layer is lost',
    needs: limits,
    async run(context) {
      const layer = await sized(context, 'layer')
      await context.within(layer, async (root) => {
        write(`${root}/kept`, fits)
        const refused = await isRefused(setQuota(context.driver, layer, { size: 20 * mebibyte }))
        if (refused) write(`${root}/more`, 1)
        else refuses(`${root}/more`, 10)
        rmSync(`${root}/kept`)
        write(`${root}/again`, 15)
      })
    },
  },
  {
    name: 'malformed-change',
    title: 'a limit that nothing could be kept to is refused, and the one that there was holds',
    needs: limits,
    async run(context) {
      const { driver } = context
      const layer = await sized(context, 'layer')
      for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])
        await assert.rejects(setQuota(driver, layer, { size: limit }), refusedOption('size'), String(limit))
      await context.within(layer, (root) => {
        write(`${root}/big`, fits)
        refuses(`${root}/big`, tooMuch - fits)
      })
    },
  },
  {
    name: 'change-of-unlimited',
    title: 'a layer that was made without limits gets one that holds, or is refused one',
    needs: limits,
    async run(context) {
      const base = await context.layer('base', undefined, [file('f')])
      const layer = await context.writable('layer', base)
      const refused = await isRefused(setQuota(context.driver, layer, { size: 50 * mebibyte }))
      await context.within(layer, (root) => {
        if (refused) write(`${root}/big`, tooMuch)
        else refuses(`${root}/big`, tooMuch)
      })
    },
  },
  {
    name: 'usage',
    title: 'what a layer has grows by what is written to it and shrinks by what is removed',
    needs: limits,
    requires: [{ command: 'sync', package: 'coreutils' }],
    async run(context) {
      const base = await context.layer('base', undefined, [file('f', 'f'.repeat(2 * mebibyte))])
      const layer = await sized(context, 'layer', size, base)
      await context.within(layer, async (root) => {
        const before = await usageOf(context, layer, root)
        write(`${root}/big`, fits)
        const after = await usageOf(context, layer, root)
        const grown = (after.bytes - before.bytes) / mebibyte
        assert(grown >= fits && grown < fits + 2, `${fits} MiB were counted as ${grown}`)
        rmSync(`${root}/big`)
        await soon(async () => {
          const left = ((await usageOf(context, layer, root)).bytes - before.bytes) / mebibyte
          assert(left < 2, `${left} MiB were counted of nothing`)
        })
      })
    },
  },
  {
    name: 'usage-unmounted',
    title: 'what a layer has is known while it is not mounted, and to another instance',
    needs: limits,
    requires: [{ command: 'sync', package: 'coreutils' }],
    async run(context) {
      const layer = await sized(context, 'layer')
      const { bytes } = await context.within(layer, (root) => {
        write(`${root}/big`, fits)
        return usageOf(context, layer, root)
      })
      for (const driver of [context.driver, await context.reopen()]) {
        const difference = Math.abs(((await driver.usage?.(layer))?.bytes ?? 0) - bytes) / mebibyte
        assert(difference < 1, `it differs by ${difference} MiB`)
      }
    },
  },
  {
    name: 'usage-of-inodes',
    title: 'the files of a layer are counted where their number is limited',
    needs: limitsInodes,
    async run(context) {
      const layer = await sized(context, 'layer')
      await context.within(layer, async (root) => {
        let attempts = 0
        // What was deleted before may be counted a little longer, and leave the count while the files are made.
        await soon(async () => {
          const before = (await usageOf(context, layer, root)).inodes
          makeFiles(root, `${attempts++}-`, inodes)
          const after = (await usageOf(context, layer, root)).inodes
          const grown = (after ?? 0) - (before ?? 0)
          assert(Math.abs(grown - inodes) <= 2, `${inodes} files were counted as ${grown}`)
        })
      })
    },
  },
  {
    name: 'unknown-layer',
    title: 'a limit for, and the usage of, a layer that is not there fail with its id',
    needs: limits,
    async run({ driver, id }) {
      const missing = id('missing')
      const calls = [() => setQuota(driver, missing, { size: mebibyte }), async () => driver.usage?.(missing)]
      for (const call of calls)
        await assert.rejects(call, (error) => {
          assert(isGraphDriverError(error, 'GD_LAYER_NOT_FOUND'), String(error))
          assert.equal(error.details.id, missing)
          return true
        })
      assert.equal(await driver.exists(missing), false)
    },
  },
)
