/** cp, compared with cp(1) and tar(1). */
import { execFileSync } from 'node:child_process'
import {
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { mountsBelow } from '@graphdriver/core/conformance'
import { need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { type DataRoot, demoRoot } from './data-root.ts'
import { demoName, graphdriver, start, succeed } from './graphdriver.ts'

const missing = need({ root: true, kernelFilesystem: 'overlay' })

interface Box extends DataRoot {
  /** Runs the command on it. */
  readonly run: (...args: readonly string[]) => Promise<string>
  /** Where the writable layer `box` is mounted. */
  readonly mounted: string
}

async function withBox(driver: string): Promise<Box> {
  const root = await demoRoot()
  const run = (...args: readonly string[]): Promise<string> => succeed(['--root', root.path, ...args])
  if (driver !== 'overlay2')
    await succeed(['--root', root.path, 'migrate', '--from', 'overlay2', '--to', driver])
  const mounted = (await run('mount', demoName, '--name', 'box')).trim()
  return {
    ...root,
    run,
    mounted,
    async [Symbol.asyncDispose]() {
      await run('unmount', 'box')
      await root[Symbol.asyncDispose]()
    },
  }
}

/** Something of every kind. */
function fill(directory: string): void {
  mkdirSync(path.join(directory, 'sub'), { recursive: true, mode: 0o750 })
  writeFileSync(path.join(directory, 'file'), 'content', { mode: 0o640 })
  writeFileSync(path.join(directory, 'sub', '.wh.name'), 'left out of layers')
  writeFileSync(path.join(directory, 'sub', 'näme'), '')
  symlinkSync('/nowhere', path.join(directory, 'link'))
  linkSync(path.join(directory, 'file'), path.join(directory, 'again'))
  chownSync(path.join(directory, 'file'), 1234, 4321)
}

describe.skipIf(missing !== undefined)(`cp (${missing ?? 'as root'})`, () => {
  test.each(['overlay2', 'vfs'])('copies in and out of a writable layer on %s', async (driver) => {
    await using box = await withBox(driver)
    const from = path.join(box.scratch, 'from')
    fill(from)
    await box.run('cp', from, 'box:/to')
    const copied = path.join(box.mounted, 'to')
    expect(readdirSync(copied).toSorted()).toEqual(['again', 'file', 'link', 'sub'])
    expect(readdirSync(path.join(copied, 'sub'))).toEqual(['näme'])
    expect(readlinkSync(path.join(copied, 'link'))).toBe('/nowhere')
    expect(lstatSync(path.join(copied, 'file'))).toMatchObject({ uid: 0, gid: 0, mode: 0o100640, nlink: 2 })
    // What is there takes it.
    await box.run('cp', '--archive', from, 'box:/to')
    expect(lstatSync(path.join(copied, 'from', 'file'))).toMatchObject({ uid: 1234, gid: 4321 })

    const out = path.join(box.scratch, 'out')
    await box.run('cp', '-a', 'box:/to/from', out)
    expect(execFileSync('diff', ['-r', '--no-dereference', '--exclude=.wh.*', from, out]).toString()).toBe('')
    expect(lstatSync(path.join(out, 'file'))).toMatchObject({ uid: 1234, gid: 4321 })
    const file = path.join(box.scratch, 'one')
    await box.run('cp', 'box:/to/file', file)
    expect(readFileSync(file, 'utf8')).toBe('content')
    expect(lstatSync(file)).toMatchObject({ uid: 0, gid: 0, mode: 0o100640 })
    // It stays mounted: whoever mounted it still has it.
    expect(existsSync(path.join(box.mounted, 'to'))).toBe(true)
  })

  test('a directory’s content goes where `/.` says, a tar where it is sent', async () => {
    await using box = await withBox('overlay2')
    const [from, out] = [path.join(box.scratch, 'from'), path.join(box.scratch, 'out')]
    fill(from)
    mkdirSync(out)
    await box.run('cp', `${from}/.`, 'box:/etc/')
    expect(readFileSync(path.join(box.mounted, 'etc', 'file'), 'utf8')).toBe('content')
    await box.run('cp', `${from}/.`, 'box:/new')
    expect(readFileSync(path.join(box.mounted, 'new', 'file'), 'utf8')).toBe('content')
    await box.run('cp', 'box:/new/.', out)
    expect(readdirSync(out).toSorted()).toEqual(['again', 'file', 'link', 'sub'])

    const tar = path.join(box.scratch, 'tar')
    writeFileSync(tar, execFileSync('tar', ['-C', from, '-c', 'file', 'link']))
    const { code } = await graphdriver(['--root', box.path, 'cp', '-', 'box:/'], {
      input: readFileSync(tar, 'latin1'),
    })
    expect(code).toBe(0)
    expect(lstatSync(path.join(box.mounted, 'file'))).toMatchObject({ uid: 1234, gid: 4321 })
    const stdout = await box.run('cp', 'box:/new', '-')
    writeFileSync(tar, Buffer.from(stdout, 'latin1'))
    const listed = execFileSync('tar', ['-tf', tar]).toString().split('\n').filter(Boolean)
    expect(listed.slice(0, 2)).toEqual(['new/', 'new/again'])
  })

  test('out of an image, and out of a layer by its digest; nothing stays mounted', async () => {
    await using root = await demoRoot()
    const out = path.join(root.scratch, 'out')
    await succeed(['--root', root.path, 'cp', `${demoName}:/bin/hello`, out])
    expect(lstatSync(out).mode & 0o111).not.toBe(0)
    const { layers } = JSON.parse(await succeed(['--root', root.path, 'layers', '--json'])) as {
      readonly layers: readonly { readonly diffId: string }[]
    }
    await succeed([
      '--root',
      root.path,
      'cp',
      `${layers[0]?.diffId ?? ''}:/`,
      path.join(root.scratch, 'tree'),
    ])
    expect(readdirSync(path.join(root.scratch, 'tree')).length).toBeGreaterThan(0)
    expect(mountsBelow(root.path)).toEqual([])
  })

  test('links in a layer lead nowhere outside', async () => {
    await using box = await withBox('overlay2')
    const secret = path.join(box.scratch, 'secret')
    mkdirSync(secret)
    writeFileSync(path.join(secret, 'file'), 'outside')
    for (const [name, to] of [
      ['absolute', secret],
      ['upwards', `../../../../../../../../../..${secret}`],
    ] as const)
      symlinkSync(to, path.join(box.mounted, name))
    mkdirSync(path.join(box.mounted, 'in'))
    for (const name of ['absolute', 'upwards']) {
      const out = await graphdriver([
        '--root',
        box.path,
        'cp',
        `box:/${name}/file`,
        path.join(box.scratch, 'out'),
      ])
      expect(out).toMatchObject({ code: 1, stderr: expect.stringContaining('[GD_PATH_UNUSABLE]') })
      const own = path.join(box.scratch, 'own')
      writeFileSync(own, 'changed')
      const into = await graphdriver(['--root', box.path, 'cp', own, `box:/${name}/file`])
      expect(into).toMatchObject({ code: 1, stderr: expect.stringContaining('[GD_PATH_UNUSABLE]') })
    }
    expect(readFileSync(path.join(secret, 'file'), 'utf8')).toBe('outside')
    expect(existsSync(path.join(box.scratch, 'out'))).toBe(false)
  })

  test('a file takes no directory’s place, nor a directory a file’s', async () => {
    await using box = await withBox('overlay2')
    const from = path.join(box.scratch, 'from')
    mkdirSync(path.join(from, 'thing'), { recursive: true })
    writeFileSync(path.join(from, 'other'), 'a file')
    mkdirSync(path.join(box.mounted, 'in', 'other'), { recursive: true })
    writeFileSync(path.join(box.mounted, 'in', 'other', 'kept'), 'kept')
    writeFileSync(path.join(box.mounted, 'in', 'thing'), 'kept')
    for (const [name, words] of [
      ['other', 'box:/in/other is a directory, and a file would take its place'],
      ['thing', 'box:/in/thing is no directory'],
    ] as const) {
      const outcome = await graphdriver(['--root', box.path, 'cp', path.join(from, name), 'box:/in'])
      expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining(words) })
    }
    expect(readFileSync(path.join(box.mounted, 'in', 'other', 'kept'), 'utf8')).toBe('kept')
    expect(readFileSync(path.join(box.mounted, 'in', 'thing'), 'utf8')).toBe('kept')
  })

  test('one that is killed leaves nothing mounted', async () => {
    await using root = await demoRoot()
    const call = start(['--root', root.path, 'cp', `${demoName}:/`, '-'])
    call.process.stdout?.pause()
    await call.said('ustar')
    call.process.kill('SIGKILL')
    await call.outcome
    expect(mountsBelow(root.path)).toEqual([])
  })

  test.each<readonly [what: string, from: string, to: string, code: number, message: string]>([
    ['two layers', 'box:/a', 'other:/b', 2, 'copy out first, then in'],
    ['no layer', '/etc/passwd', '/tmp/x', 2, "neither '/etc/passwd' nor '/tmp/x' is in a layer"],
    ['what is not there', 'box:/none', '/tmp/x', 1, 'box:/none is not there; see that the path is right'],
    ['what is not there outside', '/none', 'box:/', 1, '/none is not there'],
    ['a directory onto a file', '/etc', 'box:/bin/hello', 1, 'box:/bin/hello is no directory'],
    ['into a directory that is not there', '/etc/passwd', 'box:/none/x', 1, 'box:/none is not there'],
    ['a file as a directory', '/etc/passwd', 'box:/none/', 1, 'box:/none/ is not there'],
    ['into an image', '/etc/passwd', `${demoName}:/x`, 2, 'is no writable layer'],
    ['an unknown layer', 'unknown:/x', '/tmp/x', 1, '[GD_IMAGE_NOT_FOUND]'],
  ])('refuses %s', async (_, from, to, code, message) => {
    await using box = await withBox('overlay2')
    const outcome = await graphdriver(['--root', box.path, 'cp', from, to])
    expect(outcome).toEqual({ code, stdout: '', stderr: expect.stringContaining(message) })
    expect(await box.run('changes', 'box')).toBe('')
  })
})
