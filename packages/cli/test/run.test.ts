import { need } from '@tooling/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { contentOf, type DataRoot, demoRoot, emptyRoot } from './data-root.ts'
import { demoImage, demoName, graphdriver, json, type Outcome, succeed } from './graphdriver.ts'

// These only read the image; every run has a layer of its own.
let root: DataRoot
beforeAll(async () => {
  root = await demoRoot()
})
afterAll(() => root[Symbol.asyncDispose]())

function run(flags: readonly string[], ...command: readonly string[]): Promise<Outcome> {
  return graphdriver(['--root', root.path, 'run', ...flags, demoName, ...command])
}

/** By which runtimes: those that set containers up here, as the first use of each finds out. */
const runtimes = ['runc', 'crun', 'chroot'] as const

/** Why a runtime cannot be tested here. */
async function whyNot(runtime: string): Promise<string | undefined> {
  const missing = need({ root: true }, { command: runtime === 'chroot' ? 'unshare' : runtime })
  if (missing !== undefined) return missing
  const { code, stderr } = await run(['--runtime', runtime], '/bin/hello', 'exit', '0')
  return code === 125 ? `needs a host where ${runtime} works: ${stderr.trim()}` : undefined
}

describe.for(runtimes)('run by %s', (runtime) => {
  let unusable: string | undefined
  beforeAll(async () => {
    unusable = await whyNot(runtime)
  })

  test("prints what the image's command prints", async ({ skip }) => {
    skip(unusable !== undefined, unusable)
    const { code, stdout, stderr } = await run(['--runtime', runtime])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain('/layers/2-replaced                layer 2 replaced it')
    expect(stdout).toContain('/layers/directory/above           layer 3 hid')
    expect(stdout).not.toMatch(/3-deleted|directory\/below/)
    expect(stdout).toContain('running as uid 0, pid 1, host ')
  })

  test('returns the exit code', async ({ skip }) => {
    skip(unusable !== undefined, unusable)
    expect(await run(['--runtime', runtime], '--', '/bin/hello', 'exit', '42')).toMatchObject({
      code: 42,
      stderr: '',
    })
  })

  test('hands on stdin', async ({ skip }) => {
    skip(unusable !== undefined, unusable)
    const args = ['--root', root.path, 'run', '--runtime', runtime, demoName, '/bin/hello', 'cat']
    expect(await graphdriver(args, { input: 'a line\n' })).toMatchObject({ code: 0, stdout: 'a line\n' })
  })

  test('sets environment, working directory, user and host name', async ({ skip }) => {
    skip(unusable !== undefined, unusable)
    const env = await run(['--runtime', runtime, '-e', 'A=b c', '-e', 'GREETING=other'], '/bin/hello', 'env')
    expect(env.stdout.split('\n')).toEqual(expect.arrayContaining(['PATH=/bin', 'A=b c', 'GREETING=other']))
    const directory = await run(['--runtime', runtime, '--workdir', '/layers'], '/bin/hello', 'pwd')
    expect(directory.stdout).toBe('/layers\n')
    const user = await run(['--runtime', runtime, '--user', 'guest'], '/bin/hello', 'id')
    expect(user.stdout).toBe('uid=1000 gid=1000\n')
    const host = await run(['--runtime', runtime, '--hostname', 'shiphost'], '/bin/hello', 'hostname')
    expect(host.stdout).toBe('shiphost\n')
  })

  test('writes nowhere with --read-only, in its layer without', async ({ skip }) => {
    skip(unusable !== undefined, unusable)
    const refused = await run(['--runtime', runtime, '--read-only'], '/bin/hello', 'write', '/etc/new', 'x')
    expect(refused).toMatchObject({ code: 1, stderr: 'hello: /etc/new: read-only file system\n' })
    expect(await run(['--runtime', runtime], '/bin/hello', 'write', '/etc/new', 'x')).toMatchObject({
      code: 0,
    })
  })

  test('sees the devices, and not the processes of the host', async ({ skip }) => {
    skip(unusable !== undefined, unusable)
    const { stdout } = await run(['--runtime', runtime], '/bin/hello', 'ls', '/dev')
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(['/dev/null', '/dev/pts/', '/dev/urandom']))
    const written = await run(['--runtime', runtime], '/bin/hello', 'write', '/dev/null', 'x')
    expect(written).toMatchObject({ code: 0, stderr: '' })
    const init = await run(['--runtime', runtime], '/bin/hello', 'cat', '/proc/1/comm')
    expect(init.stdout).toBe('hello\n')
  })
})

test('127 for a command that is not in the image, 126 for one that cannot be executed', async () => {
  const nowhere = await run([], 'nowhere')
  expect(nowhere.code).toBe(127)
  expect(nowhere.stderr).toContain("'nowhere' is not in the image")
  const text = await run([], '/etc/motd')
  expect(text.code).toBe(126)
  expect(text.stderr).toContain("'/etc/motd' in the image is not an executable file")
})

test('125 for an image that is not here, and nothing is made', async () => {
  const outcome = await graphdriver(['--root', root.path, 'run', 'nothing'])
  expect(outcome.code).toBe(125)
  expect(outcome.stderr).toContain("image 'nothing' is not here, nor a file of that name")
})

test('options behind the image are the command’s', async () => {
  const { stdout } = await run([], '/bin/hello', 'echo', '--json', '--', '-h')
  expect(stdout).toBe('--json -- -h\n')
})

test('loads the image of a file first', async () => {
  await using other = await emptyRoot()
  const { code, stdout } = await graphdriver([
    '--root',
    other.path,
    'run',
    demoImage,
    '--',
    '/bin/hello',
    'id',
  ])
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'uid=0 gid=0\n' })
  expect((await json(['--root', other.path, 'images'])).images).toMatchObject([{ names: [demoName] }])
})

test('removes its layer, unless it is to be kept', async () => {
  await using own = await demoRoot()
  const write = ['/bin/hello', 'write', '/new', 'text']
  await succeed(['--root', own.path, 'run', demoName, ...write])
  await succeed(['--root', own.path, 'run', '--name', 'gone', '--rm', demoName, ...write])
  expect((await json(['--root', own.path, 'info'])).contents.writable).toEqual([])

  await succeed(['--root', own.path, 'run', '--name', 'kept', demoName, ...write])
  expect((await json(['--root', own.path, 'info'])).contents.writable).toEqual(['kept'])
  expect((await json(['--root', own.path, 'changes', 'kept'])).changes).toEqual([
    { path: '/new', kind: 'add' },
  ])
  const again = await graphdriver(['--root', own.path, 'run', '--name', 'kept', demoName])
  expect(again.code).toBe(125)
  expect(again.stderr).toContain("writable layer 'kept' exists already")
  await succeed(['--root', own.path, 'rm', 'kept'])
  expect((await json(['--root', own.path, 'info'])).contents.writable).toEqual([])
})

test.for(['../../../victim', '../../image/overlay2/repositories.json', '/etc/passwd', '..', ''])(
  'refuses the name %j before it touches anything',
  async (name) => {
    const before = contentOf(root.path)
    const { code, stderr } = await run(['--name', name])
    expect({ code, named: stderr.includes('GD_INVALID_ID') }).toEqual({ code: 125, named: true })
    expect(contentOf(root.path)).toEqual(before)
  },
)

test('a name that is taken is refused before the layer that has it is claimed (needs root)', async ({
  skip,
}) => {
  skip(need({ root: true }) !== undefined, need({ root: true }))
  await succeed(['--root', root.path, 'mount', demoName, '--name', 'taken'])
  await succeed(['--root', root.path, 'unmount', 'taken'])
  const refused = await run(['--rm', '--name', 'taken'])
  expect({ code: refused.code, named: refused.stderr.includes('GD_NAME_CONFLICT') }).toEqual({
    code: 125,
    named: true,
  })
  await succeed(['--root', root.path, 'rm', 'taken'])
})
