/** The words of zfs(8), as OpenZFS 2.4 printed them. */
import { describe, expect, test } from 'vitest'
import { failureOf, parseTable } from '../src/command.ts'
import { datasetFor } from '../src/host.ts'
import zfs from '../src/index.ts'
import { checkName, layerOf } from '../src/layout.ts'
import { parseLayerId } from '@graphdriver/core'

describe('what a failure means', () => {
  test.each([
    ["cannot create 'lab/a': dataset already exists", 'exists'],
    ["cannot open 'lab/none': dataset does not exist", 'missing'],
    ["cannot open 'lab/none': dataset does not exist\nusage:\n\tsnapshot [-r] …", 'missing'],
    ["cannot open 'lab/a@none': dataset does not exist", 'missing'],
    ['could not find any snapshots to destroy; check snapshot names.', 'missing'],
    [
      "cannot destroy 'lab/a': filesystem has dependent clones\nuse '-R' to destroy the following datasets:\nlab/c",
      'dependents',
    ],
    [
      "cannot destroy 'lab/a@s': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\nlab/c",
      'dependents',
    ],
    [
      "cannot destroy 'lab/a': filesystem has children\nuse '-r' to destroy the following datasets:\nlab/a/b",
      'dependents',
    ],
    ["cannot unmount '/tmp/m': pool or dataset is busy", 'busy'],
    ["cannot destroy 'lab/q': dataset is busy", 'busy'],
    ["cannot set property for 'lab/q': size is less than current used or reserved space", 'quota'],
    ["cannot create 'lab/bad%name': invalid character % in name", 'name'],
    ["cannot create 'lab/nnn': name is too long", 'name'],
    ["cannot create 'lab/x/y': parent does not exist", 'other'],
    ['', 'other'],
  ])('%j', (stderr, meaning) => {
    expect(failureOf(stderr)).toBe(meaning)
  })
})

test('tables are read by their tabs: names may have spaces, and a dash is nothing', () => {
  expect(parseTable('lab\nlab/b c\n')).toEqual([['lab'], ['lab/b c']])
  expect(parseTable('lab/a@s\tlab/c,lab/d\nlab/b@s\t-\n')).toEqual([
    ['lab/a@s', 'lab/c,lab/d'],
    ['lab/b@s', ''],
  ])
  expect(parseTable('')).toEqual([])
})

test('only what is directly in the dataset, and is called by an id, is a layer', () => {
  const names = ['lab/a', 'lab', 'lab/a/b', 'lab/graphdriver:removed-0', 'labor/a', 'lab/b c']
  expect(names.map((name) => layerOf('lab', name))).toEqual([
    'a',
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ])
})

test('a name that ZFS would not take is refused before anything is asked', () => {
  expect(() => checkName('lab', parseLayerId('a'.repeat(64)))).not.toThrow()
  expect(() => checkName('lab', parseLayerId('a'.repeat(250)))).toThrow(
    expect.objectContaining({ code: 'GD_INVALID_ID' }),
  )
})

test('Docker’s dataset is the data root’s own; a fresh home further down gets one to itself', () => {
  const host = { supported: true, dataset: 'lab/d', mountedAt: '/mnt/d' } as const
  expect(datasetFor('/mnt/d/zfs', host)).toEqual({ name: 'lab/d', own: false })
  expect(datasetFor('/mnt/d/a b/c/zfs', host)).toEqual({ name: 'lab/d/graphdriver:a:b:c', own: true })
  expect(datasetFor('/elsewhere/zfs', { ...host, mountedAt: undefined })).toEqual({
    name: 'lab/d',
    own: false,
  })
})

test.each([
  [{ fsname: '/lab' }, 'fsname'],
  [{ fsname: 'lab//a' }, 'fsname'],
  [{ fsname: 'lab/a b' }, 'fsname'],
  [{ size: '1G' }, 'size'],
])('%o is refused, naming the option', (options, option) => {
  expect(() => zfs.parse(options)).toThrow(
    expect.objectContaining({ code: 'GD_INVALID_OPTION', details: expect.objectContaining({ option }) }),
  )
})
