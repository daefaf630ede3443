import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { filesystemRequirements, need, reap } from '../src/index.ts'

const launcher = path.resolve(import.meta.dirname, '../src/within.ts')
const index = JSON.stringify(new URL('../src/index.ts', import.meta.url).href)

/** Makes all that the lab makes, and some that it does not know of; tells where, and waits to be killed. */
const program = `
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { filesystem, temporaryDirectory } from ${index}
const unknown = mkdtempSync(tmpdir() + '/unknown-')
const made = [(await filesystem('ext4', { sizeMiB: 64 })).path, (await temporaryDirectory()).path, unknown]
console.log(JSON.stringify({ pid: process.pid, made }))
setInterval(() => undefined, 1000)
`

async function firstLine({ stdout }: ChildProcess): Promise<{ pid: number; made: readonly string[] }> {
  if (stdout === null) throw new Error('no output')
  const [chunk] = await once(stdout, 'data')
  return JSON.parse(String(chunk))
}

test('a run that was killed leaves nothing that the next does not reap (root)', async ({ skip }) => {
  const missing = need(...filesystemRequirements('ext4'))
  skip(missing !== undefined, missing)
  const args = [launcher, process.execPath, '--input-type=module', '--eval', program]
  const run = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  const { pid, made } = await firstLine(run)
  run.kill('SIGKILL')
  process.kill(pid, 'SIGKILL')
  await once(run, 'close')
  expect(made.map((file) => existsSync(file))).toEqual([true, true, true])

  reap()
  expect(made.map((file) => existsSync(file))).toEqual([false, false, false])
  const home = path.dirname(made[2] ?? '')
  expect(existsSync(home)).toBe(false)
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(home)
  expect((await execa('losetup', ['--list'])).stdout).not.toContain(path.basename(home))
})

test('the exit code is that of the program, and its temporary files go', async () => {
  const script = 'echo $TMPDIR; touch $TMPDIR/left; exit 3'
  const { stdout, exitCode } = await execa(process.execPath, [launcher, 'sh', '-c', script], {
    reject: false,
  })
  expect(exitCode).toBe(3)
  expect(path.basename(stdout)).toMatch(/^gd-lab-/)
  expect(existsSync(stdout)).toBe(false)
})

const evaluate = (script: string): readonly string[] => ['--input-type=module', '--eval', script]

const dying = `
  import { filesystem } from ${index}
  const { path } = await filesystem('tmpfs', { sizeMiB: 4 })
  console.log(path)
  process.kill(process.pid, 'SIGKILL')`

const reaping = `
  import { reap } from ${index}
  console.log(reap().length)`

test('what a process has no right to reap waits for one that has (root)', async ({ skip }) => {
  const missing = need(...filesystemRequirements('tmpfs'), { command: 'unshare', package: 'util-linux' })
  skip(missing !== undefined, missing)
  const { stdout: left } = await execa(process.execPath, evaluate(dying), { reject: false })
  const unshared = ['--user', '--map-root-user', '--mount', process.execPath, ...evaluate(reaping)]
  const { stderr, exitCode } = await execa('unshare', unshared, { reject: false })
  expect([exitCode, stderr]).toEqual([0, ''])
  expect(existsSync(left)).toBe(true)
  reap()
  expect(existsSync(left)).toBe(false)
})

test('of several that reap at once, none fails', async ({ skip }) => {
  const missing = need(...filesystemRequirements('tmpfs'))
  skip(missing !== undefined, missing)
  await Promise.all(
    Array.from({ length: 4 }, () => execa(process.execPath, evaluate(dying), { reject: false })),
  )
  const reaped = await Promise.all(
    Array.from({ length: 4 }, () => execa(process.execPath, evaluate(reaping), { reject: false })),
  )
  expect(reaped.map(({ exitCode, stderr }) => [exitCode, stderr])).toEqual(reaped.map(() => [0, '']))
})
