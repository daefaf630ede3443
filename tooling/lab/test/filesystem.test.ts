import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import path from 'node:path'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import {
  type FilesystemKind,
  filesystem,
  filesystemRequirements,
  need,
  reap,
  temporaryDirectory,
} from '../src/index.ts'

const kinds: readonly FilesystemKind[] = ['ext4', 'xfs', 'btrfs', 'tmpfs']

test.for(kinds)('a filesystem is of its kind and gone after use: %s (root)', async (kind, { skip }) => {
  const missing = need(...filesystemRequirements(kind))
  skip(missing !== undefined, missing)
  let place: string
  {
    await using made = await filesystem(kind, { sizeMiB: 512 })
    place = made.path
    const { stdout } = await execa('stat', ['--file-system', '--format=%T', place])
    expect(stdout).toBe(kind === 'ext4' ? 'ext2/ext3' : kind)
    writeFileSync(path.join(place, 'file'), 'content')
  }
  expect(existsSync(path.dirname(place))).toBe(false)
  expect(readFileSync('/proc/self/mountinfo', 'utf8')).not.toContain(place)
  expect((await execa('losetup', ['--list'])).stdout).not.toContain(path.dirname(place))
})

test('a mount that a case forgot is taken away and reported (root)', async ({ skip }) => {
  const missing = need(...filesystemRequirements('tmpfs'))
  skip(missing !== undefined, missing)
  const outer = await temporaryDirectory()
  await execa('mount', ['-t', 'tmpfs', 'forgotten', outer.path])
  await expect(outer[Symbol.asyncDispose]()).rejects.toThrow(`${outer.path} was left mounted`)
  expect(existsSync(outer.path)).toBe(false)
})

test('a file that a case left open is reported, and the filesystem goes all the same (root)', async ({
  skip,
}) => {
  const missing = need(...filesystemRequirements('tmpfs'))
  skip(missing !== undefined, missing)
  const made = await filesystem('tmpfs', { sizeMiB: 4 })
  await using file = await open(path.join(made.path, 'left-open'), 'w')
  await expect(made[Symbol.asyncDispose]()).rejects.toThrow('busy')
  expect(existsSync(path.dirname(made.path))).toBe(false)
  expect((await file.stat()).nlink).toBe(1)
})

const program = `
import { filesystem, temporaryDirectory } from ${JSON.stringify(new URL('../src/index.ts', import.meta.url).href)}
const [directory, mounted] = [await temporaryDirectory(), await filesystem('ext4', { sizeMiB: 64 })]
console.log(JSON.stringify([directory.path, mounted.path]))
`

test('what a process that throws has made goes with it (root)', async ({ skip }) => {
  const missing = need(...filesystemRequirements('ext4'))
  skip(missing !== undefined, missing)
  const args = ['--input-type=module', '--eval', `${program}; throw new Error('on purpose')`]
  const { stdout, exitCode } = await execa(process.execPath, args, { reject: false })
  const made: readonly string[] = JSON.parse(stdout)
  expect(exitCode).toBe(1)
  expect(made.map((file) => existsSync(file))).toEqual([false, false])
})

test('what a killed process has made is reaped, and what lives is left alone (root)', async ({ skip }) => {
  const missing = need(...filesystemRequirements('ext4'))
  skip(missing !== undefined, missing)
  await using mine = await temporaryDirectory()
  const args = ['--input-type=module', '--eval', `${program}; process.kill(process.pid, 'SIGKILL')`]
  const { stdout, signal } = await execa(process.execPath, args, { reject: false })
  const made: readonly string[] = JSON.parse(stdout)
  expect(signal).toBe('SIGKILL')
  expect(made.map((file) => existsSync(file))).toEqual([true, true])
  reap()
  expect(made.map((file) => existsSync(file))).toEqual([false, false])
  expect((await execa('losetup', ['--list'])).stdout).not.toContain(path.dirname(made[1] ?? 'none'))
  expect(readdirSync(mine.path)).toEqual([])
})
