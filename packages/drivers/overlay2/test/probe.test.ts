import { chownSync, existsSync, mkdirSync, readdirSync, symlinkSync } from 'node:fs'
import path from 'node:path'
import { mount, readMountTable, run, umount, makeScratch } from '@graphdriver/sys'
import { filesystem, need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import overlay2 from '../src/index.ts'
import { homeOf, missing, openAt } from './open.ts'

const skipped = missing('tmpfs')

/** What programs can do instead has its own test. */
const kernelOnly = { mount_program: 'none' }

function probeAt(root: string): ReturnType<typeof overlay2.probe> {
  return overlay2.probe({ root, home: homeOf(root), options: overlay2.parse(kernelOnly) })
}

describe.skipIf(skipped !== undefined)(`overlay2 probes (${skipped ?? 'as root'})`, () => {
  test('a yes names the filesystem and leaves nothing, not even the root', async () => {
    await using volume = await filesystem('tmpfs', { sizeMiB: 64 })
    const root = path.join(volume.path, 'not', 'there', 'yet')
    expect(await probeAt(root)).toMatchObject({ supported: true, notes: ['layers on tmpfs'] })
    expect(readdirSync(volume.path)).toEqual([])
    expect(readMountTable().filter(({ target }) => target.startsWith(`${volume.path}/`))).toEqual([])
  })

  test('a root on an overlay is refused, naming it and the remedy', async () => {
    await using volume = await filesystem('tmpfs', { sizeMiB: 64 })
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(path.join(volume.path, name))
    const at = (name: string): string => path.join(volume.path, name)
    const data = `lowerdir=${at('lower')},upperdir=${at('upper')},workdir=${at('work')}`
    mount({ source: 'overlay', target: at('merged'), type: 'overlay', data })
    try {
      const answer = await probeAt(at('merged'))
      expect(answer).toMatchObject({ supported: false, code: 'backing-filesystem' })
      expect(answer.supported || answer.reason).toMatch(/overlayfs/)
      expect(answer.supported || answer.hint).toMatch(/ext4/)
      await expect(openAt(at('merged'), kernelOnly)).rejects.toMatchObject({
        code: 'GD_DRIVER_UNSUPPORTED',
        details: { driver: 'overlay2', reason: 'backing-filesystem' },
      })
      expect(readdirSync(at('merged'))).toEqual([])
    } finally {
      umount(at('merged'))
    }
  })

  test('an xfs without d_type is refused, with the mkfs that makes one', async ({ skip }) => {
    const lacking = missing('xfs')
    skip(lacking !== undefined, lacking)
    let volume: Awaited<ReturnType<typeof filesystem>>
    try {
      volume = await filesystem('xfs', { sizeMiB: 512, mkfsOptions: ['-n', 'ftype=0', '-m', 'crc=0'] })
    } catch (error) {
      skip(`mkfs.xfs or the kernel refuses ftype=0: ${String(error).split('\n')[0] ?? ''}`)
      return
    }
    await using _ = volume
    expect(await probeAt(volume.path)).toMatchObject({
      supported: false,
      code: 'no-d-type',
      hint: expect.stringContaining('ftype=1'),
    })
    expect(readdirSync(volume.path)).toEqual([])
  })

  test('an ext4 without d_type is refused', async ({ skip }) => {
    const lacking = missing('ext4')
    skip(lacking !== undefined, lacking)
    await using volume = await filesystem('ext4', { sizeMiB: 64, mkfsOptions: ['-O', '^filetype'] })
    expect(await probeAt(volume.path)).toMatchObject({ supported: false, code: 'no-d-type' })
    expect(readdirSync(volume.path)).toEqual(['lost+found'])
  })

  test('a root that cannot be written is refused', async () => {
    await using volume = await filesystem('tmpfs', { sizeMiB: 64, mountOptions: ['ro'] })
    expect(await probeAt(volume.path)).toMatchObject({ supported: false, code: 'not-writable' })
  })

  test('what a killed probe left is removed by the next, mount and all, wherever it stood', async () => {
    await using volume = await filesystem('tmpfs', { sizeMiB: 64 })
    const root = path.join(volume.path, 'root')
    for (const place of [volume.path, homeOf(root)]) {
      mkdirSync(place, { recursive: true })
      using dead = makeScratch(place, 'probe', 0o700)
      for (const name of ['top', 'bottom', 'merged']) mkdirSync(path.join(dead.path, name))
      const at = (name: string): string => path.join(dead.path, name)
      const data = `lowerdir=${at('top')}:${at('bottom')}`
      mount({ source: 'overlay', target: at('merged'), type: 'overlay', data })
    }
    expect(await probeAt(root)).toMatchObject({ supported: true })
    expect(readdirSync(volume.path)).toEqual(['root'])
    expect(readdirSync(homeOf(root))).toEqual([])
    expect(readMountTable().filter((entry) => entry.target.startsWith(`${volume.path}/`))).toEqual([])
  })

  test('somebody else’s directory that only looks like a probe’s is left alone', async () => {
    await using volume = await filesystem('tmpfs', { sizeMiB: 64 })
    const planted = path.join(volume.path, '.graphdriver-probe-0000000000000000')
    mkdirSync(planted)
    chownSync(planted, 1000, 1000)
    await probeAt(volume.path)
    expect(existsSync(planted)).toBe(true)
  })

  test('a link that only looks like a probe’s directory is not followed', async () => {
    await using volume = await filesystem('tmpfs', { sizeMiB: 64 })
    mkdirSync(path.join(volume.path, 'precious'))
    symlinkSync('precious', path.join(volume.path, '.graphdriver-probe-0000000000000000'))
    await probeAt(volume.path)
    expect(existsSync(path.join(volume.path, 'precious'))).toBe(true)
  })

  test('a process that may not mount is told so', async ({ skip }) => {
    const lacking = need({ command: 'setpriv', package: 'util-linux' })
    skip(lacking !== undefined, lacking)
    await using volume = await filesystem('tmpfs', { sizeMiB: 64, mountOptions: ['mode=0777'] })
    const built = path.resolve(import.meta.dirname, '../dist/index.js')
    const script = `
      const { default: overlay2 } = await import(${JSON.stringify(built)})
      const root = ${JSON.stringify(volume.path)}
      console.log(JSON.stringify(await overlay2.probe({ root, home: root + '/overlay2', options: {} })))`
    const { stdout } = await run('setpriv', [
      '--bounding-set=-sys_admin',
      '--inh-caps=-all',
      process.execPath,
      '--input-type=module',
      '--eval',
      script,
    ])
    expect(JSON.parse(stdout)).toMatchObject({
      supported: false,
      code: 'not-permitted',
      hint: expect.stringContaining('root'),
    })
    expect(readdirSync(volume.path)).toEqual([])
  })
})
