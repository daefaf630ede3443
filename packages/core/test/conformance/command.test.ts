import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { command, shellPid } from '../../src/conformance/host/command.ts'
import { temporaryDirectory } from '../../src/conformance/host/temporary-directory.ts'

const awkward = ["it's", '$HOME `x` "y" \\', 'two\nlines', '', '*', 'ü', '-n', '#', '%s']

test.skipIf(process.platform === 'win32')('arguments arrive as they are', async () => {
  expect(await command('printf', [String.raw`<%s>\n`, ...awkward])).toBe(
    awkward.map((word) => `<${word}>\n`).join(''),
  )
})

test('bytes come back as they were printed', async () => {
  const bytes = String.raw`\000\001\377`
  expect(await command('printf', [bytes], { encoding: 'latin1' })).toBe('\0\u0001\u00FF')
})

test('it runs where it is told to, and with the umask of this process', async () => {
  await using directory = await temporaryDirectory()
  expect(await command('pwd', [], { cwd: directory.path })).toBe(`${directory.path}\n`)
  expect(await command('pwd', [])).toBe(`${process.cwd()}\n`)
  expect(await command('sh', ['-c', 'umask'])).toBe(`${process.umask().toString(8).padStart(4, '0')}\n`)
})

test('failure says what was run, and what it had to say', async () => {
  await expect(command('ls', ['/is not there'])).rejects.toThrow(/Command failed: ls .*\n.*No such file/)
  await expect(command('no-such-program', [])).rejects.toThrow('not found')
  await expect(command('sh', ['-c', 'kill -9 $$'])).rejects.toThrow('Command failed: sh')
  expect(await command('echo', ['still here'])).toBe('still here\n')
})

test.skipIf(process.platform === 'win32')('it goes on when its shell has been killed', async () => {
  await command('true', [])
  const pid = shellPid()
  assert(pid !== undefined)
  process.kill(pid, 'SIGKILL')
  await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false)
  expect(await command('echo', ['still here'])).toBe('still here\n')
})

test('programs that run at the same time do not wait for each other', async () => {
  await using directory = await temporaryDirectory()
  const meet = (own: string, other: string): Promise<string> =>
    command(
      'timeout',
      ['20', 'sh', '-c', `mkfifo ${own}; echo > ${own} & until [ -p ${other} ]; do :; done; cat ${other}`],
      { cwd: directory.path },
    )
  await expect(Promise.all([meet('a', 'b'), meet('b', 'a')])).resolves.toHaveLength(2)
})

test('it keeps no process alive, and gives more than a pipe holds', async () => {
  const source = new URL('../../src/conformance/host/command.ts', import.meta.url).href
  const program = `
    import { command, shellPid } from ${JSON.stringify(source)}
    console.log((await command('seq', ['100000'])).length)`
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], {
    timeout: 20_000,
  })
  expect(stdout).toBe('588895\n')
})
