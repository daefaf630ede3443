import { mkdirSync, statfsSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { run } from '@graphdriver/sys'
import { type FilesystemKind } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { homeOf, id, makeLayer, missing, openOn } from './open.ts'

const kinds: readonly FilesystemKind[] = ['ext4', 'xfs', 'btrfs', 'tmpfs']
const cloning: readonly FilesystemKind[] = ['xfs', 'btrfs']

describe.each(kinds)('vfs on %s', (kind) => {
  const skipped = missing(kind)

  describe.skipIf(skipped !== undefined)(`${skipped ?? 'as root'}`, () => {
    test('copies share their data where the filesystem can, and the driver says so', async () => {
      await using place = await openOn(kind)
      const { driver } = place
      const shares = cloning.includes(kind)
      expect(driver.capabilities.sharing).toBe(shares ? 'extents' : 'none')
      expect(await driver.status()).toContainEqual(['Reflink', String(shares)])
      const size = 32 << 20
      await makeLayer(driver, 'base', undefined, (root) =>
        writeFileSync(`${root}/big`, Buffer.alloc(size, 7)),
      )
      await driver.create(id('copy'), { parent: id('base') })
      // What sync(1) has written of the first is settled; only then does free space tell of the second.
      await run('sync', ['--file-system', place.root])
      const used = (): number => {
        const { blocks, bfree, bsize } = statfsSync(place.root)
        return (blocks - bfree) * bsize
      }
      const before = used()
      await driver.create(id('copy-2'), { parent: id('base') })
      await run('sync', ['--file-system', place.root])
      expect(used() - before < size / 2).toBe(shares)
    })
  })
})

const skipped = missing('tmpfs')

describe.skipIf(skipped !== undefined)(`vfs layers (${skipped ?? 'as root'})`, () => {
  test('layers are the directories in dir/ that have the form of an id', async () => {
    await using place = await openOn('tmpfs')
    await place.driver.create(id('a'))
    await place.driver.create(id('b'))
    mkdirSync(path.join(homeOf(place.root), 'dir/.graphdriver-layer-x'))
    mkdirSync(path.join(homeOf(place.root), 'dir/not an id'))
    writeFileSync(path.join(homeOf(place.root), 'dir/file'), '')
    expect((await Array.fromAsync(place.driver.layers())).toSorted()).toEqual(['a', 'b'])
  })
})
