/** What a container of an image runs, as whom, and that runtimes take what is written. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, realpathSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { need } from '@tooling/lab'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  type BundleOptions,
  type ImageConfig,
  parseImageConfig,
  processArguments,
  processUser,
  writeBundle,
} from '../src/index.ts'
import { DataRoot } from './data-root.ts'
import { sampleImage } from './sample-image.ts'

function configOf(config: Readonly<Record<string, unknown>>): ImageConfig {
  return parseImageConfig(sampleImage({ config: { config } }).configBytes, (reason) => new Error(reason))
}

const accounts = `
# comment
root:x:0:0:root:/root:/bin/sh
broken line
app:x:1000:1001:App:/home/app:/bin/sh
twice:x:1000:7::/twice:
1234:x:9:9::/number:
huge:x:4294967295:0::/:
`
const groups = `
root:x:0:
wheel:x:10:app,root
staff:x:50:twice,app
bad:x:one:app
`

describe('what is run', () => {
  it.each([
    [{ Entrypoint: ['/e', 'x'], Cmd: ['c'] }, [], ['/e', 'x', 'c']],
    [{ Entrypoint: ['/e'], Cmd: ['c'] }, ['a', 'b'], ['/e', 'a', 'b']],
    [{ Cmd: ['c', 'd'] }, [], ['c', 'd']],
    [{ Cmd: ['c', 'd'] }, ['a'], ['a']],
    [{ Entrypoint: ['/e'] }, [], ['/e']],
    [{ Entrypoint: null, Cmd: null }, ['a'], ['a']],
    [{ Cmd: 'one string' }, [], ['one string']],
  ])('is, of %j with %j, %j', (config, args, expected) => {
    expect(processArguments(configOf(config), args)).toEqual(expected)
  })

  it('is nothing: says so', () => {
    expect(() => processArguments(configOf({}))).toThrow(
      expect.objectContaining({ code: 'GD_PROCESS_INVALID', details: { field: 'args' } }),
    )
  })
})

describe.skipIf(process.platform !== 'linux')('who runs it', () => {
  let root: DataRoot
  let rootfs: string

  beforeEach(() => {
    root = new DataRoot()
    rootfs = path.join(root.scratch, 'rootfs')
    mkdirSync(path.join(rootfs, 'etc'), { recursive: true })
    writeFileSync(path.join(rootfs, 'etc/passwd'), accounts)
    writeFileSync(path.join(rootfs, 'etc/group'), groups)
  })

  afterEach(async () => {
    await root[Symbol.asyncDispose]()
  })

  it.each([
    ['', { uid: 0, gid: 0, home: '/root', additionalGids: [10] }],
    ['app', { uid: 1000, gid: 1001, home: '/home/app', additionalGids: [10, 50] }],
    ['1000', { uid: 1000, gid: 1001, home: '/home/app', additionalGids: [10, 50] }],
    ['app:staff', { uid: 1000, gid: 50, home: '/home/app' }],
    ['app:77', { uid: 1000, gid: 77, home: '/home/app' }],
    [':staff', { uid: 0, gid: 50, home: '/root' }],
    ['4242', { uid: 4242, gid: 0, home: '/' }],
    ['4242:4343', { uid: 4242, gid: 4343, home: '/' }],
    ['1234', { uid: 1234, gid: 0, home: '/' }],
  ])('is, for %j, %j', (user, expected) => {
    expect(processUser(rootfs, user)).toEqual(expected)
  })

  it.each([
    ['nobody', 'user', 'nobody'],
    ['huge', 'user', 'huge'],
    ['-1', 'user', '-1'],
    ['4294967295', 'user', '4294967295'],
    ['app:nobody', 'group', 'nobody'],
  ])('is nobody for %j', (user, field, value) => {
    expect(() => processUser(rootfs, user)).toThrow(
      expect.objectContaining({ code: 'GD_PROCESS_INVALID', details: { field, value } }),
    )
  })

  it('is looked up inside the root filesystem, wherever links point', () => {
    const outside = root.write('passwd', 'evil:x:666:666::/:')
    for (const target of [outside, `../../${path.basename(outside)}`, `/../../../../../../../..${outside}`]) {
      const linked = path.join(root.scratch, `linked-${target.length}`)
      mkdirSync(path.join(linked, 'etc'), { recursive: true })
      symlinkSync(target, path.join(linked, 'etc/passwd'))
      expect(() => processUser(linked, 'evil')).toThrow(/not in the image/)
    }
    const absolute = path.join(root.scratch, 'absolute')
    mkdirSync(path.join(absolute, 'usr/lib'), { recursive: true })
    symlinkSync('/usr/lib', path.join(absolute, 'etc'))
    writeFileSync(path.join(absolute, 'usr/lib/passwd'), accounts)
    expect(processUser(absolute, 'app').uid).toBe(1000)
  })

  it('is not waited for in a fifo', () => {
    const odd = path.join(root.scratch, 'odd')
    mkdirSync(path.join(odd, 'etc'), { recursive: true })
    execFileSync('mkfifo', [path.join(odd, 'etc/passwd')])
    expect(processUser(odd, '5')).toEqual({ uid: 5, gid: 0, home: '/' })
  })
})

describe.skipIf(process.platform !== 'linux')('a bundle', () => {
  let root: DataRoot
  let rootfs: string

  beforeEach(() => {
    root = new DataRoot()
    rootfs = path.join(root.scratch, 'rootfs')
    mkdirSync(path.join(rootfs, 'etc'), { recursive: true })
    writeFileSync(path.join(rootfs, 'etc/passwd'), accounts)
    writeFileSync(path.join(rootfs, 'etc/group'), groups)
  })

  afterEach(async () => {
    await root[Symbol.asyncDispose]()
  })

  const bundle = (): string => path.join(root.scratch, 'bundle')
  const write = (options: Partial<BundleOptions>) =>
    writeBundle(bundle(), { rootfs, config: configOf({ Cmd: ['/bin/true'] }), ...options })

  it('says what Docker would', async () => {
    const config = configOf({ Cmd: ['c'], Env: ['A=1', 'B=2', 'C=3'], WorkingDir: 'srv/./x', User: 'app' })
    const spec = await write({ config, env: ['B=other', 'C', 'HOME=/h'], hostname: 'box' })
    expect(JSON.parse(readFileSync(path.join(bundle(), 'config.json'), 'utf8'))).toEqual(spec)
    expect(spec.process).toMatchObject({
      terminal: false,
      args: ['c'],
      cwd: '/srv/x',
      user: { uid: 1000, gid: 1001, additionalGids: [10, 50] },
      noNewPrivileges: false,
    })
    expect(spec.process.env).toEqual([
      'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      'HOSTNAME=box',
      'HOME=/h',
      'A=1',
      'B=other',
    ])
    expect(spec.process.capabilities.bounding).toHaveLength(14)
    expect(spec.root).toEqual({ path: rootfs, readonly: false })
    expect(spec.linux.namespaces.map(({ type }) => type)).toEqual(['pid', 'mount', 'ipc', 'uts'])
    expect(spec.mounts.map(({ destination }) => destination)).toEqual([
      '/proc',
      '/dev',
      '/dev/pts',
      '/dev/shm',
      '/dev/mqueue',
      '/sys',
      '/sys/fs/cgroup',
    ])
    expect(statSync(path.join(bundle(), 'config.json')).mode & 0o777).toBe(0o600)
  })

  it('prefers what the caller says', async () => {
    const mounts = [{ destination: '/x', type: 'bind', source: '/y', options: ['rbind'] }]
    const config = configOf({ Cmd: ['c'], WorkingDir: '/a', User: 'app' })
    const spec = await write({
      config,
      args: ['d'],
      cwd: '/b',
      user: '5:6',
      terminal: true,
      readonly: true,
      mounts,
    })
    expect(spec.process).toMatchObject({ args: ['d'], cwd: '/b', user: { uid: 5, gid: 6 }, terminal: true })
    expect(spec.process.env).toContain('TERM=xterm')
    expect(spec.root.readonly).toBe(true)
    expect(spec.mounts.at(-1)).toEqual(mounts[0])
  })

  it('mounts in a user namespace only what it may', async () => {
    const uidMap = [{ containerID: 0, hostID: 1000, size: 1 }]
    const inside = await write({ rootless: true })
    const made = await write({ rootless: { uidMap, gidMap: uidMap } })
    for (const { mounts, linux } of [inside, made]) {
      expect(mounts.find(({ destination }) => destination === '/sys')?.options).toContain('rbind')
      expect(mounts.flatMap(({ options }) => options)).not.toContain('gid=5')
      expect(linux.resources).toBeUndefined()
    }
    expect(inside.linux.namespaces.map(({ type }) => type)).not.toContain('user')
    expect(made.linux).toMatchObject({ uidMappings: uidMap, gidMappings: uidMap })
    expect(made.linux.namespaces.map(({ type }) => type)).toContain('user')
  })

  it('is not written for a process that cannot be', async () => {
    await expect(write({ user: 'nobody' })).rejects.toMatchObject({ code: 'GD_PROCESS_INVALID' })
    expect(() => statSync(bundle())).toThrow('ENOENT')
  })

  /** A shell and a few programs of this host, with their libraries. */
  function installPrograms(): void {
    for (const name of ['sh', 'cat', 'id', 'touch']) {
      const program = realpathSync(execFileSync('which', [name], { encoding: 'utf8' }).trim())
      const libraries = execFileSync('ldd', [program], { encoding: 'utf8' }).match(/\/[^ )]+/g) ?? []
      for (const file of libraries) cpSync(realpathSync(file), path.join(rootfs, file))
      cpSync(program, path.join(rootfs, 'bin', name))
    }
  }

  const script =
    'id -u; id -g; echo "$GREETING"; cat /proc/sys/kernel/hostname; cat /proc/1/comm; touch /srv/x && echo ok'

  const ways: readonly (readonly [string, Partial<BundleOptions>, readonly string[]])[] = [
    ['as root', {}, []],
    [
      'as an ordinary user, in a user namespace that the runtime makes',
      {
        rootless: {
          uidMap: [{ containerID: 0, hostID: 65534, size: 1 }],
          gidMap: [{ containerID: 0, hostID: 65534, size: 1 }],
        },
      },
      ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
    ],
    [
      'as an ordinary user, in a user namespace that is there',
      { rootless: true },
      ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', 'unshare', '-Urm'],
    ],
  ]

  it.for(ways)('is run by runc %s (needs root, runc)', async ([, options, prefix], { skip }) => {
    // crun 1.8 refuses to run at all where cgroup v1 and v2 are mixed, so it is no test of a bundle.
    const missing = need({ root: true, command: 'runc' }, { command: 'setpriv' }, { command: 'ldd' })
    skip(missing !== undefined, missing)
    installPrograms()
    mkdirSync(path.join(rootfs, 'srv'))
    await write({
      ...options,
      config: configOf({
        Entrypoint: ['/bin/sh', '-c'],
        Cmd: [script],
        Env: ['GREETING=hello', 'PATH=/bin'],
      }),
      hostname: 'box',
      user: '0',
    })
    const state = path.join(root.scratch, 'state')
    mkdirSync(state)
    if (prefix.length > 0) execFileSync('chown', ['-R', '65534:65534', root.scratch])
    const id = path.basename(root.scratch)
    const runc = ['runc', '--root', state, 'run', '--bundle', bundle(), id]
    const output = execFileSync('env', [...prefix, ...runc], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, XDG_RUNTIME_DIR: state },
    })
    expect(output.split('\n')).toEqual(['0', '0', 'hello', 'box', 'sh', 'ok', ''])
  })
})
