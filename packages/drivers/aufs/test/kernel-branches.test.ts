/** What aufs tells of its mounts in sysfs; the files here have the form that aufs 6.1 gave them. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { parseMountInfo } from '@graphdriver/sys'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { branchesOf, isWrittenTo, mountNumber } from '../src/kernel/branches.ts'

let sysfs = ''

beforeEach(() => {
  sysfs = mkdtempSync(path.join(tmpdir(), 'gd-sysfs-'))
})
afterEach(() => rmSync(sysfs, { recursive: true }))

function aufsMount(number: string, ...branches: readonly string[]): void {
  const directory = path.join(sysfs, `si_${number}`)
  mkdirSync(directory)
  writeFileSync(path.join(directory, 'xi_path'), '/dev/shm/aufs.xino\n')
  for (const [at, branch] of branches.entries()) {
    writeFileSync(path.join(directory, `br${at}`), `${branch}\n`)
    writeFileSync(path.join(directory, `brid${at}`), `${64 + at}\n`)
  }
}

test('branches are in the order of their numbers, ten after nine', () => {
  const branches = Array.from({ length: 12 }, (_, index) => `/d/${index}=${index === 0 ? 'rw' : 'ro+wh'}`)
  aufsMount('a1b2', ...branches)
  expect(branchesOf('a1b2', sysfs)).toEqual(branches)
})

test('a mount that is gone, and a kernel without aufs, have none', () => {
  expect(branchesOf('a1b2', sysfs)).toEqual([])
  expect(isWrittenTo('/d/0', path.join(sysfs, 'nothing'))).toBe(false)
})

test('a directory is written to when any mount has it as its rw branch, under exactly that path', () => {
  aufsMount('1', '/d/0=rw', '/d/1=ro+wh')
  aufsMount('2', '/d/00=rw', '/d/1=ro+wh')
  expect(['/d/0', '/d/1', '/d/00', '/d', '/d/0=rw'].map((diff) => isWrittenTo(diff, sysfs))).toEqual([
    true,
    false,
    true,
    false,
    false,
  ])
})

test('the number of a mount is its option si; others have none', () => {
  const text = [
    '41 30 0:60 / /mnt/a rw,relatime shared:1 - aufs none rw,si=4aa8b1f7e0b7a1c9,dio,dirperm1',
    '42 30 0:61 / /mnt/b rw,relatime - overlay overlay rw,lowerdir=/si=5',
  ].join('\n')
  expect(parseMountInfo(text).map(mountNumber)).toEqual(['4aa8b1f7e0b7a1c9', undefined])
})
