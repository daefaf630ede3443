import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { CommandError, findCommand, run } from '../src/index.ts'
import { scratch } from './scratch.ts'

const node = process.execPath

async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => {
      throw new Error('it did not fail')
    },
    (error: unknown) => error,
  )
}

it('what a program writes is given back as it is', async () => {
  const script = 'process.stdout.write("out\\n\\n"); process.stderr.write("err\\n")'
  expect(await run(node, ['-e', script])).toEqual({ stdout: 'out\n\n', stderr: 'err\n' })
})

it('arguments are not read by a shell', async () => {
  const args = ['$HOME', '`id`', 'a b', '; rm -rf nothing', '*', '', '"']
  const { stdout } = await run(node, ['-p', 'JSON.stringify(process.argv.slice(1))', '--', ...args])
  expect(JSON.parse(stdout)).toEqual(args)
})

it('the locale is C, the environment is added to, the input is read', async () => {
  using directory = scratch()
  const script =
    'process.stdin.pipe(process.stdout); process.stderr.write([process.env.LC_ALL, process.env.EXTRA, process.env.HOME !== undefined, process.cwd()].join())'
  const options = { cwd: directory.path, env: { EXTRA: 'e', LC_ALL: 'de_DE' }, input: 'from here' }
  expect(await run(node, ['-e', script], options)).toEqual({
    stdout: 'from here',
    stderr: `C,e,${process.env['HOME'] !== undefined},${directory.path}`,
  })
})

it('without input a program reads nothing, and does not wait', async () => {
  expect(await run('cat', [])).toEqual({ stdout: '', stderr: '' })
})

it('a program that fails is an error with its last words', async () => {
  const script = 'process.stderr.write("x".repeat(10000) + " the end\\n"); process.exitCode = 3'
  const error = await failure(run(node, ['-e', script]))
  expect(error).toBeInstanceOf(CommandError)
  expect(error).toMatchObject({ code: 'ECOMMAND', command: node, exitCode: 3, signal: undefined })
  expect((error as CommandError).stderr).toMatch(/^x{4088} the end$/)
  expect((error as CommandError).message).toMatch(/exit code 3: x+ the end$/)
})

it('a program that was killed is an error with the signal', async () => {
  const error = await failure(run(node, ['-e', 'process.kill(process.pid, "SIGKILL")']))
  expect(error).toMatchObject({ code: 'ECOMMAND', signal: 'SIGKILL', exitCode: undefined })
})

it('a program that is not there is ENOENT, and is named', async () => {
  const error = await failure(run('mkfs.nonesuch', ['x']))
  expect(error).toMatchObject({ code: 'ENOENT', command: 'mkfs.nonesuch', args: ['x'] })
  expect(String(error)).toContain('mkfs.nonesuch: command not found')
})

it('a working directory that is not there is not taken for a missing program', async () => {
  const error = await failure(run(node, ['-v'], { cwd: '/nowhere' }))
  expect(error).toMatchObject({ code: 'ENOTDIR', message: expect.stringContaining('working directory') })
})

it('output is bounded', async () => {
  const script = 'for (;;) require("fs").writeSync(1, "x".repeat(1000))'
  const error = await failure(run(node, ['-e', script], { maxOutput: 10_000 }))
  expect(error).toMatchObject({ code: 'EMAXBUFFER' })
})

it('time is bounded', async () => {
  const error = await failure(run('sleep', ['60'], { timeout: 50 }))
  expect(error).toMatchObject({ code: 'ETIMEDOUT', message: 'sleep: did not end in time' })
})

it('an abort ends the program, and its reason is passed on', async () => {
  const reason = new Error('enough')
  const controller = new AbortController()
  const running = run('sleep', ['60'], { signal: controller.signal })
  setTimeout(() => controller.abort(reason), 20)
  expect(await failure(running)).toBe(reason)
  expect(await failure(run('true', [], { signal: AbortSignal.abort(reason) }))).toBe(reason)
})

it('a command is found without being started', () => {
  expect(findCommand('sh')).toMatch(/\/sh$/)
  expect(findCommand(node)).toBe(node)
  expect(findCommand('nonesuch-command')).toBeUndefined()
  expect(findCommand('/etc')).toBeUndefined()
  expect(findCommand('/nowhere/sh')).toBeUndefined()
})

it('a directory, or a file that may not be run, is no command', () => {
  using directory = scratch()
  mkdirSync(directory.at('tool'))
  writeFileSync(directory.at('data'), '')
  writeFileSync(directory.at('program'), '#!/bin/sh\n')
  chmodSync(directory.at('program'), 0o755)
  const before = process.env['PATH']
  process.env['PATH'] = `:${directory.path}:${before}`
  try {
    expect(findCommand('tool')).toBeUndefined()
    expect(findCommand('data')).toBeUndefined()
    expect(findCommand('program')).toBe(directory.at('program'))
  } finally {
    process.env['PATH'] = before
  }
})

it('a program that is not there is ENOENT even when a directory on PATH may not be searched', async () => {
  using directory = scratch()
  const locked = directory.at('locked')
  writeFileSync(locked, '')
  chmodSync(locked, 0)
  const error = await failure(run('mkfs.nonesuch', [], { env: { PATH: `${locked}:/usr/bin` } }))
  expect(error).toMatchObject({ code: 'ENOENT' })
})
