/** What the driver says of places where it cannot work. */
import { readdirSync } from 'node:fs'
import path from 'node:path'
import { hostOf } from '@graphdriver/core'
import { filesystem } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import windows from '../../src/index.ts'
import { homeOf, missing, openAt } from './workplace.ts'

function probeAt(root: string): ReturnType<typeof windows.probe> {
  return windows.probe(hostOf(windows, { root }))
}

test('a root that is not on NTFS is refused with the commands that make one', async () => {
  const found = await probeAt('/proc')
  expect(found).toMatchObject({ supported: false, code: 'not-ntfs' })
  expect(found.supported ? '' : found.hint).toMatch(
    /mkntfs .*ntfs-3g -o permissions,streams_interface=windows/,
  )
})

test('where ntfs-3g is not installed, the remedy begins with that', async () => {
  const before = process.env['PATH']
  process.env['PATH'] = '/nonexistent'
  try {
    const found = await probeAt('/proc')
    expect(found.supported ? '' : found.hint).toMatch(/^install ntfs-3g \(Debian package ntfs-3g\), then put/)
  } finally {
    process.env['PATH'] = before
  }
})

describe.skipIf(missing !== undefined)(`windows probes NTFS (${missing ?? 'as root'})`, () => {
  test('a yes leaves nothing, not even the root', async () => {
    await using volume = await filesystem('ntfs', { sizeMiB: 64 })
    expect(await probeAt(path.join(volume.path, 'not/yet'))).toEqual({
      supported: true,
      notes: ['layers on NTFS: every layer is a full copy'],
    })
    expect(readdirSync(volume.path)).toEqual([])
  })

  test.each([
    ['no-owners', 'permissions', ['streams_interface=windows']],
    ['no-streams', 'streams_interface=windows', ['permissions']],
  ] as const)('a mount that lacks an option is %s, which names it', async (code, option, ntfsOptions) => {
    await using volume = await filesystem('ntfs', { sizeMiB: 64, ntfsOptions })
    expect(await probeAt(volume.path)).toMatchObject({
      supported: false,
      code,
      reason: expect.stringContaining(option),
    })
    await expect(openAt(volume.path)).rejects.toMatchObject({
      code: 'GD_DRIVER_UNSUPPORTED',
      details: { driver: 'windows', reason: code },
    })
    expect(readdirSync(volume.path)).toEqual([])
  })

  test('a read-only mount is opened to read, and not otherwise', async () => {
    await using volume = await filesystem('ntfs', { sizeMiB: 64, mountOptions: ['ro'] })
    expect(await probeAt(volume.path)).toMatchObject({ supported: false, code: 'not-writable' })
    expect(homeOf(volume.path)).toBe(`${volume.path}/windows`)
  })
})
