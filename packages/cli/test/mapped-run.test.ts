/** Containers whose root is somebody else on the host: no image is copied nor given away for them. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { type DataRoot, demoRoot, emptyRoot } from './data-root.ts'
import { demoImage, demoName, graphdriver, json, start, succeed } from './graphdriver.ts'

const missing = need({ root: true }, { command: 'runc' }, { command: 'unshare' })
const maps = ['--uidmap', '0:300000:5000', '--gidmap', '0:400000:5000'] as const

function mountsAt(...places: readonly string[]): readonly string[] {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  return lines.filter((line) => places.some((place) => line.includes(place)))
}

/** What runs of this process's user have in the system's temporary directory. */
function runPlaces(): readonly string[] {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('.graphdriver-run-'))
}

function ownersOf(directory: string, ...names: readonly string[]): readonly string[] {
  return names.map((name) => {
    const { uid, gid } = statSync(path.join(directory, name))
    return `${uid}:${gid}`
  })
}

describe.skipIf(missing !== undefined)(`run with maps (${missing ?? 'as root, by runc'})`, () => {
  test.each(['overlay2', 'overlay', 'vfs'])(
    'with %s, root of the container is root of its files, and not of the host',
    async (driver) => {
      await using root = await emptyRoot()
      const at = ['--root', root.path, '--driver', driver]
      await succeed([...at, 'load', demoImage])
      const before = (await json([...at, 'df'])).layers
      const call = start([...at, 'run', ...maps, '--name', 'kept', demoName, '/bin/hello', 'sleep', '60'])
      expect(await theirIds()).toEqual({ uid: 300_000, gid: 400_000 })
      call.process.kill('SIGTERM')
      expect((await call.outcome).code).toBe(143)
      expect((await json([...at, 'df'])).layers).toEqual(before)

      const { path: shown } = await json([...at, 'mount', 'kept', ...maps])
      expect(ownersOf(shown, '.', 'bin/hello', 'etc')).toEqual([
        '300000:400000',
        '300000:400000',
        '300000:400000',
      ])
      await succeed([...at, 'unmount', 'kept'])
      const { path: plain } = await json([...at, 'mount', 'kept'])
      expect(ownersOf(plain, '.', 'bin/hello', 'etc')).toEqual(['0:0', '0:0', '0:0'])
      await succeed([...at, 'unmount', 'kept'])
      expect(mountsAt(root.path, '.graphdriver-run-')).toEqual([])
    },
  )

  test('what it writes is committed with the owners that it saw', async () => {
    await using root = await demoRoot()
    const at = ['--root', root.path]
    await succeed([
      ...at,
      'run',
      ...maps,
      '--name',
      'one',
      demoName,
      '/bin/hello',
      'write',
      '/etc/new',
      'text',
    ])
    await succeed([...at, 'commit', 'one', 'other:latest'])
    const there = await succeed([...at, 'run', 'other:latest', '/bin/hello', 'cat', '/etc/new'])
    expect(there).toBe('text\n')
    const { path: shown } = await json([...at, 'mount', 'one'])
    expect(ownersOf(shown, 'etc/new')).toEqual(['0:0'])
    await succeed([...at, 'unmount', 'one'])
    const guest = await succeed([...at, 'run', ...maps, '--user', 'guest', demoName, '/bin/hello', 'id'])
    expect(guest).toBe('uid=1000 gid=1000\n')
  })

  test('a runtime that makes no user namespaces, a driver that shows no other owners, ids that are none: refused', async () => {
    await using root = await demoRoot()
    const run = async (...args: readonly string[]): Promise<string> => {
      const { code, stderr } = await graphdriver(['--root', root.path, 'run', ...args, demoName])
      expect(code).toBe(125)
      expect((await json(['--root', root.path, 'info'])).contents.writable).toEqual([])
      return stderr
    }
    expect(await run('--runtime', 'chroot', ...maps)).toContain('it gives no container a user namespace')
    expect(await run('--uidmap', '0:1000')).toContain('write INSIDE:OUTSIDE:COUNT')
    expect(await run('--uidmap', '0:1000:5', '--uidmap', '3:9000:5')).toContain(
      'two ranges with the id 3 inside',
    )
    expect(await run('--uidmap', '0:1000:5', '--user', 'guest')).toContain('widen --uidmap')
    await using other = await emptyRoot()
    const aufs = ['--root', other.path, '--driver', 'aufs', 'run', ...maps, demoImage]
    expect((await graphdriver(aufs)).stderr).toContain('aufs shows layers with their own owners only')
  })

  test('what a killed run has left is gone after the next one', async () => {
    await using root: DataRoot = await demoRoot()
    const at = ['--root', root.path]
    const before = runPlaces()
    const call = start([...at, 'run', ...maps, demoName, '/bin/hello', 'sleep', '2'])
    await theirIds()
    const left = runPlaces().filter((name) => !before.includes(name))
    expect(left.length).toBe(1)
    call.process.kill('SIGKILL')
    await call.outcome
    expect(mountsAt(...left).length).toBe(1)
    // The container lives on for a moment.
    for (let tries = 0; processesOf('/bin/hello').length > 0 && tries < 200; tries++) await pause(50)
    await succeed([...at, 'run', demoName, '/bin/hello', 'id'])
    expect([runPlaces(), mountsAt(root.path, ...left)]).toEqual([before, []])
  })
})

/** Of the one that is being started. */
async function theirIds(): Promise<{ readonly uid: number; readonly gid: number } | undefined> {
  for (let tries = 0; tries < 400; tries++) {
    const [seen] = processesOf('/bin/hello')
    if (seen !== undefined) return seen
    await pause(25)
  }
  return undefined
}

/** Who runs a program, by the host's ids. */
function processesOf(program: string): readonly { readonly uid: number; readonly gid: number }[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return []
    try {
      const [name] = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')
      if (name !== program) return []
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      const id = (key: string): number => Number(new RegExp(`^${key}:\\t(\\d+)`, 'm').exec(status)?.[1])
      return [{ uid: id('Uid'), gid: id('Gid') }]
    } catch {
      // It is gone.
      return []
    }
  })
}
