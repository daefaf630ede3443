/** The command as somebody who may mount nothing: it goes on in a user namespace. */
import { existsSync } from 'node:fs'
import path from 'node:path'
import { run } from '@graphdriver/sys'
import { need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { demoImage, demoName, graphdriver, json, start, succeed } from './graphdriver.ts'
import {
  asOrdinaryUser,
  whyNoOrdinaryUser,
  whyNoUserNamespace,
  withFuse,
  withoutUserNamespaces,
} from './ordinary-user.ts'

describe('an ordinary user', () => {
  test.for(['overlay2', 'vfs'])(
    'loads and runs with %s, in a root of their own',
    async (driver, { skip }) => {
      const missing = whyNoUserNamespace()
      skip(missing !== undefined, missing)
      await using user = await asOrdinaryUser()
      const root = path.join(user.home, '.local', 'share', 'graphdriver')
      const probed = (await json(['--driver', driver, 'drivers'], user)).drivers[0]?.probe
      skip(probed?.supported !== true, `needs a kernel where ${driver} serves here: ${probed?.reason}`)

      await succeed(['--driver', driver, 'load', demoImage], user)
      expect(await json(['info'], user)).toMatchObject({ root, driver, why: 'prior state', rootless: true })
      const { code, stdout, stderr } = await graphdriver(['run', demoName], user)
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toContain('/layers/directory/above           layer 3 hid')
      expect(stdout).not.toMatch(/3-deleted|directory\/below/)

      const exits = await graphdriver(['run', demoName, '/bin/hello', 'exit', '3'], user)
      expect(exits.code).toBe(3)
      const input = { ...user, input: 'typed\n' }
      expect((await graphdriver(['run', demoName, '/bin/hello', 'cat'], input)).stdout).toBe('typed\n')
      expect((await json(['info'], user)).contents.writable).toEqual([])
      await succeed(['rmi', demoName], user)
      expect((await json(['layers'], user)).layers).toEqual([])
    },
  )

  test('loads, runs and changes a layer by fuse-overlayfs, which is asked for, and nothing stays mounted', async ({
    skip,
  }) => {
    const missing =
      whyNoUserNamespace() ?? need({ root: true }, { command: 'fuse-overlayfs', package: 'fuse-overlayfs' })
    skip(missing !== undefined, missing)
    await using home = await asOrdinaryUser()
    const fuse = path.join(home.home, 'fuse')
    await run('mknod', ['--mode=666', fuse, 'c', '10', '229'])
    const user = withFuse(home, fuse)
    const by = ['--driver', 'overlay2', '--driver-option', 'mount_program=fuse-overlayfs']
    const probed = (await json([...by, 'drivers'], user)).drivers[0]?.probe
    expect(probed).toEqual(expect.objectContaining({ supported: true }))
    await succeed([...by, 'load', demoImage], user)
    const { stdout } = await graphdriver([...by, 'run', demoName], user)
    expect(stdout).toContain('/layers/directory/above           layer 3 hid')
    expect(stdout).not.toMatch(/3-deleted|directory\/below/)
    const mounts = await graphdriver([...by, 'run', demoName, '/bin/hello', 'cat', '/proc/self/mounts'], user)
    expect(mounts.stdout).toMatch(/^fuse-overlayfs \/ fuse\.fuse-overlayfs /m)
    await succeed([...by, 'run', '--name', 'kept', demoName, '/bin/hello', 'write', '/etc/new', 'x'], user)
    expect((await json([...by, 'changes', 'kept'], user)).changes).toEqual([
      { path: '/etc', kind: 'modify' },
      { path: '/etc/new', kind: 'add' },
    ])
    await succeed([...by, 'commit', 'kept', 'new:latest'], user)
    expect(await succeed([...by, 'run', 'new', '/bin/hello', 'cat', '/etc/new'], user)).toBe('x\n')
    await succeed([...by, 'rm', 'kept'], user)
    expect(await succeed([...by, 'check', '--full'], user)).toContain('nothing')
  })

  test('runs by chroot where there is no runc', async ({ skip }) => {
    const missing = whyNoUserNamespace()
    skip(missing !== undefined, missing)
    await using user = await asOrdinaryUser()
    const args = ['run', '--runtime', 'chroot', demoImage, '/bin/hello', 'hostname']
    expect(
      await graphdriver([...args.slice(0, 3), '--hostname', 'mine', ...args.slice(3)], user),
    ).toMatchObject({
      code: 0,
      stdout: 'mine\n',
    })
  })

  test('is told that a user of the image has no id', async ({ skip }) => {
    const missing = whyNoUserNamespace() ?? need({ root: true })
    skip(missing !== undefined, missing)
    await using user = await asOrdinaryUser()
    const outcome = await graphdriver(['run', '--user', 'guest', demoImage], user)
    expect(outcome.code).toBe(125)
    expect(outcome.stderr).toContain('user 1000 of the image has no id in this user namespace')
  })

  test('ends by SIGTERM, and so does the process', async ({ skip }) => {
    const missing = whyNoUserNamespace()
    skip(missing !== undefined, missing)
    await using user = await asOrdinaryUser()
    const call = start(['run', demoImage, '/bin/hello', 'sleep', '60'], user)
    await call.said('waiting')
    call.process.kill('SIGTERM')
    expect(await call.outcome).toMatchObject({ code: 143, stdout: 'waiting\nsignal 15\n' })
  })

  test('is told that mount cannot last, and what does', async ({ skip }) => {
    const missing = whyNoUserNamespace()
    skip(missing !== undefined, missing)
    await using user = await asOrdinaryUser()
    await succeed(['load', demoImage], user)
    const { driver } = await json(['info'], user)
    skip(driver === 'vfs', 'needs a driver that mounts')
    const { code, stderr } = await graphdriver(['mount', demoName, '--name', 'work'], user)
    expect(code).toBe(1)
    expect(stderr).toContain(
      'the mount ends with the command; use graphdriver run, or --driver vfs, or be root',
    )
    expect((await json(['info'], user)).contents.writable).toEqual([])
  })

  test('may mount with vfs, which mounts nothing', async ({ skip }) => {
    const missing = whyNoUserNamespace()
    skip(missing !== undefined, missing)
    await using user = await asOrdinaryUser()
    await succeed(['--driver', 'vfs', 'load', demoImage], user)
    const { path: mounted } = await json(['mount', demoName, '--name', 'work'], user)
    expect(existsSync(path.join(mounted, 'bin/hello'))).toBe(true)
    await succeed(['unmount', 'work'], user)
    await succeed(['rm', 'work'], user)
  })

  test('is told what forbids user namespaces (needs root)', async ({ skip }) => {
    const missing = whyNoOrdinaryUser() ?? need({ root: true })
    skip(missing !== undefined, missing)
    await using user = await asOrdinaryUser()
    const under = ['sh', '-c', withoutUserNamespaces, 'sh', ...(user.under ?? [])]
    const { code, stderr } = await graphdriver(['load', demoImage], { ...user, under })
    expect(code).toBe(1)
    expect(stderr).toContain('sysctl user.max_user_namespaces is 0; or run as root [GD_MISSING_PREREQUISITE]')
  })
})
