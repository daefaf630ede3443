/** Filesystems in files, and who mounts and unmounts them. */
import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { parseLayerId } from '@graphdriver/core'
import { findLoopDevices, isMountPoint } from '@graphdriver/sys'
import { filesystem, filesystemRequirements, need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { LayerQuota, parseQuotaOptions, reapVolumes, Volume } from '../src/index.ts'

const skipped = need({ root: true, command: 'mkfs.ext4' }, ...filesystemRequirements('tmpfs'))
const id = parseLayerId('layer')
const size = 20 * 1024 * 1024

function volumeAt(directory: string): Volume {
  return new Volume(path.join(directory, 'image'), path.join(directory, 'mounted'))
}

describe.skipIf(skipped !== undefined)(`a volume (${skipped ?? 'as root'})`, () => {
  test('is mounted from its first user to its last, with what was written', async () => {
    await using place = await filesystem('tmpfs', { sizeMiB: 64, storage: 'memory' })
    const volume = volumeAt(place.path)
    expect(volume.exists()).toBe(false)
    await volume.make(id, { size })
    const first = await volume.open()
    expect(readdirSync(volume.target)).toEqual([])
    writeFileSync(path.join(volume.target, 'file'), 'kept')
    const second = await volume.open()
    await first[Symbol.asyncDispose]()
    expect(isMountPoint(volume.target)).toBe(true)
    await second[Symbol.asyncDispose]()
    await second[Symbol.asyncDispose]()
    expect(isMountPoint(volume.target)).toBe(false)
    expect(findLoopDevices(path.join(place.path, 'image'))).toEqual([])
    await using _ = await volume.open()
    expect(readdirSync(volume.target)).toEqual(['file'])
  })

  test('many come and go at once, and the last unmounts', async () => {
    await using place = await filesystem('tmpfs', { sizeMiB: 64, storage: 'memory' })
    const volume = volumeAt(place.path)
    await volume.make(id, { size })
    const use = async (number: number): Promise<void> => {
      for (let round = 0; round < 5; round++) {
        await using _ = await volumeAt(place.path).open()
        writeFileSync(path.join(volume.target, String(number)), String(round))
      }
    }
    await Promise.all(Array.from({ length: 16 }, (_, number) => use(number)))
    expect(isMountPoint(volume.target)).toBe(false)
    await using _ = await volume.open()
    expect(readdirSync(volume.target)).toHaveLength(16)
  })

  test('what a dead process left mounted is used by the next, and unmounted when nobody does', async () => {
    await using place = await filesystem('tmpfs', { sizeMiB: 64, storage: 'memory' })
    const directory = path.join(place.path, 'layer')
    mkdirSync(directory)
    const volume = volumeAt(directory)
    await volume.make(id, { size })
    const script = `
      import { Volume } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)}
      await new Volume(process.argv[1] + '/image', process.argv[1] + '/mounted').open()
      process.kill(process.pid, 'SIGKILL')`
    const { spawnSync } = await import('node:child_process')
    spawnSync(process.execPath, ['--input-type=module', '--eval', script, directory])
    expect(isMountPoint(volume.target)).toBe(true)
    await reapVolumes(place.path, (target) => volumeAt(path.dirname(target)))
    expect(isMountPoint(volume.target)).toBe(false)
  })

  test('takes no more space than what is in it, and gives back what is deleted', async () => {
    await using place = await filesystem('tmpfs', { sizeMiB: 64, storage: 'memory' })
    const volume = volumeAt(place.path)
    await volume.make(id, { size: 1024 ** 3 })
    const taken = (): number => statSync(path.join(place.path, 'image')).blocks * 512
    expect(taken()).toBeLessThan(40 * 1024 * 1024)
  })

  test.each([
    [undefined, 'size'],
    [1024 * 1024, 'size'],
  ])('of %s bytes is refused, and nothing is left', async (bytes, option) => {
    await using place = await filesystem('tmpfs', { sizeMiB: 64, storage: 'memory' })
    const volume = volumeAt(place.path)
    await expect(volume.make(id, { size: bytes })).rejects.toMatchObject({
      code: 'GD_INVALID_OPTION',
      details: { option },
    })
    expect(existsSync(path.join(place.path, 'image'))).toBe(false)
  })
})

describe.skipIf(skipped !== undefined)(
  `limits where the filesystem has none (${skipped ?? 'as root'})`,
  () => {
    function limitsAt(directory: string, options: Record<string, string>): LayerQuota {
      return new LayerQuota(directory, {
        ...parseQuotaOptions('some', options),
        driver: 'some',
        privileged: false,
        volumeOf: volumeAt,
        countedOf: (counted) => counted,
      })
    }

    test('are refused with what is missing and what would help', async () => {
      await using place = await filesystem('tmpfs', { sizeMiB: 64, storage: 'memory' })
      const limits = limitsAt(place.path, {})
      expect(limits.degree).toBe('none')
      expect(() => limits.wanted(id, { size: '1G' }, 'container')).toThrow(/prjquota.*quota=loop/)
      expect(limits.wanted(id, {}, 'container')).toBeUndefined()
    })

    test('are those of the driver where the layer has none of its own, and only containers’', async () => {
      await using place = await filesystem('tmpfs', { sizeMiB: 64, storage: 'memory' })
      const limits = limitsAt(place.path, { quota: 'loop', size: '20M', inodes: '100' })
      expect(limits.degree).toBe('loop')
      expect(limits.wanted(id, { size: '30M' }, 'container')).toEqual({ size: 30 * 1024 * 1024, inodes: 100 })
      expect(limits.wanted(id, {}, 'image')).toBeUndefined()
      expect(() => limits.wanted(id, { size: '30M' }, 'image')).toThrow(/only layers for containers/)
    })
  },
)
