import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { dockerInitLayer } from '../src/index.ts'

const linux = process.platform === 'linux'

describe.skipIf(!linux)('the init layer of a container', () => {
  let scratch: string
  let root: string
  let outside: string

  beforeEach(() => {
    scratch = mkdtempSync(path.join(tmpdir(), 'gd-init-'))
    root = path.join(scratch, 'root')
    outside = path.join(scratch, 'outside')
    mkdirSync(root)
    mkdirSync(outside)
  })

  afterEach(() => {
    rmSync(scratch, { recursive: true, force: true })
  })

  it('has what Docker puts there, with its modes, in spite of the umask', async () => {
    const before = process.umask(0o077)
    try {
      await dockerInitLayer(root)
    } finally {
      process.umask(before)
    }
    for (const directory of ['dev', 'dev/pts', 'dev/shm', 'proc', 'sys', 'etc']) {
      const stat = lstatSync(path.join(root, directory))
      expect([directory, stat.isDirectory(), stat.mode & 0o7777]).toEqual([directory, true, 0o755])
    }
    for (const file of ['.dockerenv', 'etc/resolv.conf', 'etc/hosts', 'etc/hostname', 'dev/console']) {
      const stat = lstatSync(path.join(root, file))
      expect([file, stat.isFile(), stat.size, stat.mode & 0o7777]).toEqual([file, true, 0, 0o755])
    }
    expect(readlinkSync(path.join(root, 'etc/mtab'))).toBe('/proc/mounts')
    expect(readdirSync(root).sort()).toEqual(['.dockerenv', 'dev', 'etc', 'proc', 'sys'])
  })

  it('replaces files of the image and keeps its directories', async () => {
    mkdirSync(path.join(root, 'etc/hostname'), { recursive: true })
    chmodSync(path.join(root, 'etc'), 0o700)
    writeFileSync(path.join(root, 'etc/hosts'), 'from the image')
    writeFileSync(path.join(root, 'etc/passwd'), 'kept')
    writeFileSync(path.join(root, 'etc/hostname/kept'), '')
    await dockerInitLayer(root)
    expect(readFileSync(path.join(root, 'etc/hosts'), 'utf8')).toBe('')
    expect(readFileSync(path.join(root, 'etc/passwd'), 'utf8')).toBe('kept')
    expect(readdirSync(path.join(root, 'etc/hostname'))).toEqual(['kept'])
    expect(lstatSync(path.join(root, 'etc')).mode & 0o7777).toBe(0o700)
  })

  it('can be repeated', async () => {
    await dockerInitLayer(root)
    const before = execFileSync('find', [root, '-printf', '%P %y %m %l\n'], { encoding: 'utf8' })
    await dockerInitLayer(root)
    expect(execFileSync('find', [root, '-printf', '%P %y %m %l\n'], { encoding: 'utf8' })).toBe(before)
  })

  it.each(['etc', 'dev', 'proc', 'sys'])('does not follow /%s out of the layer', async (name) => {
    writeFileSync(path.join(outside, 'hosts'), 'precious')
    symlinkSync(outside, path.join(root, name))
    await dockerInitLayer(root)
    expect(lstatSync(path.join(root, name)).isDirectory()).toBe(true)
    expect(readdirSync(outside)).toEqual(['hosts'])
    expect(readFileSync(path.join(outside, 'hosts'), 'utf8')).toBe('precious')
  })

  it('does not follow a link that climbs, nor one at the end of a path', async () => {
    symlinkSync('../outside', path.join(root, 'dev'))
    mkdirSync(path.join(root, 'etc'))
    writeFileSync(path.join(outside, 'precious'), 'precious')
    for (const file of ['hosts', 'resolv.conf', 'hostname', 'mtab']) {
      symlinkSync(path.join(outside, 'precious'), path.join(root, 'etc', file))
    }
    await dockerInitLayer(root)
    expect(readdirSync(outside)).toEqual(['precious'])
    expect(readFileSync(path.join(outside, 'precious'), 'utf8')).toBe('precious')
    expect(lstatSync(path.join(root, 'etc/hosts')).isFile()).toBe(true)
  })
})
