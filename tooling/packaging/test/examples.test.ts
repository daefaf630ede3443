/** The examples, as somebody has them who copies one and types `npm install`. */
import { cpSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { filesystem, filesystemRequirements, need, workspaceRoot } from '@tooling/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Project } from '../src/project.ts'
import { type ScopeRegistry, serveScope } from '../src/scope-registry.ts'
import { packAll } from '../src/tarballs.ts'

const missing = need(
  { command: 'npm' },
  { command: 'runc' },
  { root: true, kernelFilesystem: 'overlay' },
  ...filesystemRequirements('ext4'),
)
const demo = path.join(workspaceRoot, 'tooling/demo-image/demo.oci.tar')

describe.skipIf(missing !== undefined)(`examples (${missing ?? 'as root'})`, () => {
  let directory: Awaited<ReturnType<typeof filesystem>>
  let registry: ScopeRegistry

  beforeAll(async () => {
    directory = await filesystem('ext4', { sizeMiB: 2048, storage: 'memory' })
    registry = await serveScope(await packAll(directory.path))
    mkdirSync(path.join(directory.path, 'tmp'))
  }, 120_000)

  afterAll(async () => {
    await registry[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  const example = async (name: string): Promise<Project> => {
    const project = await Project.at(path.join(directory.path, name), registry.npmrc)
    cpSync(path.join(workspaceRoot, 'examples', name), project.path, { recursive: true })
    await project.install()
    return project
  }
  const node = (project: Project, ...args: readonly string[]): ReturnType<Project['run']> =>
    project.run('env', `TMPDIR=${path.join(directory.path, 'tmp')}`, process.execPath, 'index.js', ...args)
  const leftOver = (): readonly string[] => readdirSync(path.join(directory.path, 'tmp'))

  test('a hundred sandboxes, each with its own files and those of the warm one', async () => {
    const project = await example('sandbox-runner')
    const { exitCode, all } = await node(project, demo, '100', '--', '/bin/hello', 'cat', '/number')
    expect(all).toMatch(/^100 sandboxes, [\d.]+ ms each/m)
    const numbers = all.split('\n').filter((line) => /^\d+$/.test(line))
    expect([exitCode, numbers]).toEqual([0, Array.from({ length: 100 }, (_, at) => String(at))])
    expect(leftOver()).toEqual([])
  }, 120_000)

  test('a cache of builds: what the last one left is there, what failed leaves nothing', async () => {
    const project = await example('ci-cache')
    const build = async (key: string, script: string): Promise<readonly [number | undefined, string]> => {
      const { exitCode, all } = await node(project, 'cache', key, '--', 'sh', '-c', script)
      return [exitCode, all]
    }
    expect(await build('main', 'echo one > one')).toEqual([
      0,
      expect.stringContaining('main: kept 1 changes'),
    ])
    expect(await build('main', 'cat one; echo two > two')).toEqual([
      0,
      expect.stringMatching(/^one\n.*kept 1 changes/s),
    ])
    expect(await build('main', 'rm one; exit 3')).toEqual([3, expect.stringContaining('nothing is kept')])
    expect(await build('main', 'ls')).toEqual([0, expect.stringMatching(/^one\ntwo\n.*nothing has changed/s)])
    expect(await build('main/feature', 'ls; rm one')).toEqual([
      0,
      expect.stringMatching(/^one\ntwo\n.*kept 1 changes/s),
    ])
    expect(await build('main/feature', 'ls')).toEqual([0, expect.stringMatching(/^two\n/)])
    expect(await build('main', 'ls')).toEqual([0, expect.stringMatching(/^one\ntwo\n/)])
    expect(await build('other', 'ls')).toEqual([0, expect.stringContaining('nothing has changed')])
  }, 120_000)

  test('a container with runc, and what it changed', async () => {
    const project = await example('container-runtime')
    const { exitCode, all } = await node(project, demo, '--', '/bin/hello', 'exit', '7')
    expect([exitCode, all]).toEqual([7, expect.any(String)])
    const ran = await node(project, demo)
    expect([ran.exitCode, ran.all]).toEqual([0, expect.stringContaining('layer 3 hid')])
    expect(leftOver()).toEqual([])
  }, 120_000)

  test('each is listed, and says how it is used', async () => {
    const listed = readFileSync(path.join(workspaceRoot, 'examples/README.md'), 'utf8')
    const names = readdirSync(path.join(workspaceRoot, 'examples'), { withFileTypes: true })
    for (const { name } of names.filter((entry) => entry.isDirectory())) expect(listed).toContain(`(${name}`)
  })
})
