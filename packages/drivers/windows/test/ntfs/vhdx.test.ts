/** Layers on the NTFS of a virtual disk (VHDX), as Windows and Hyper-V have disks. */
import { need, virtualDisk, virtualDiskRequirements } from '@tooling/lab'
import { run } from '@graphdriver/sys'
import { describe, expect, test } from 'vitest'
import { base, withoutSecurity } from './sample.ts'
import { apply, comparable, diffOf, file, id, openAt } from './workplace.ts'

const missing = need(...virtualDiskRequirements)

describe.skipIf(missing !== undefined)(`a virtual disk (${missing ?? 'as root'})`, () => {
  test('keeps layers between two mounts of it, and is whole', { timeout: 60_000 }, async () => {
    await using disk = await virtualDisk(512)
    {
      await using mounted = await disk.mount()
      await using driver = await openAt(mounted.path)
      await apply(driver, 'base', undefined, ...base)
      await apply(driver, 'child', 'base', file('Files/large', { content: 'x'.repeat(20_000_000) }))
    }
    const { stdout } = await run('qemu-img', ['info', '--output=json', disk.file])
    expect(JSON.parse(stdout)).toMatchObject({ format: 'vhdx' })
    await run('qemu-img', ['check', '-f', 'vhdx', disk.file])
    await using mounted = await disk.mount()
    await using driver = await openAt(mounted.path)
    expect(await Array.fromAsync(driver.layers())).toEqual(expect.arrayContaining([id('base'), id('child')]))
    expect(comparable(withoutSecurity(await diffOf(driver, 'base')))).toEqual(comparable(base))
    const changed = await diffOf(driver, 'child', 'base')
    expect(changed.map(({ name }) => name)).toEqual(['Files', 'Files/large'])
  })
})
