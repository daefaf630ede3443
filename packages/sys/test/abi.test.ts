import { constants } from 'node:fs'
import { expect, it } from 'vitest'
import { machines } from '../src/abi.ts'
import { O } from '../src/index.ts'

it('the open flags of this machine are those Node was built with', () => {
  const { O_DIRECTORY, O_NOFOLLOW, O_DIRECT, O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, O_APPEND } = constants
  const { O_NONBLOCK, O_NOATIME, O_DSYNC, O_SYNC } = constants
  expect(O).toMatchObject({
    DIRECTORY: O_DIRECTORY,
    NOFOLLOW: O_NOFOLLOW,
    DIRECT: O_DIRECT,
    CREAT: O_CREAT,
    EXCL: O_EXCL,
    NOCTTY: O_NOCTTY,
    TRUNC: O_TRUNC,
    APPEND: O_APPEND,
    NONBLOCK: O_NONBLOCK,
    NOATIME: O_NOATIME,
    DSYNC: O_DSYNC,
    SYNC: O_SYNC,
  })
})

it('arm64 swaps four open flags', () => {
  const { x64, arm64 } = machines
  expect(arm64.open.DIRECTORY).toBe(0x4000)
  expect(arm64.open.NOFOLLOW).toBe(0x8000)
  expect(arm64.open.DIRECT).toBe(x64.open.DIRECTORY)
  expect(arm64.open.LARGEFILE).toBe(x64.open.NOFOLLOW)
  expect(arm64.open.TMPFILE & arm64.open.DIRECTORY).toBe(arm64.open.DIRECTORY)
  expect(x64.open.TMPFILE & x64.open.DIRECTORY).toBe(x64.open.DIRECTORY)
  expect(arm64.open.CLOEXEC).toBe(x64.open.CLOEXEC)
})

it('the machines have the same calls, alike from number 424 on', () => {
  const { x64, arm64 } = machines
  expect(Object.keys(arm64.calls).sort()).toEqual(Object.keys(x64.calls).sort())
  const alike = (calls: Readonly<Record<string, number>>): readonly string[] =>
    Object.entries(x64.calls)
      .filter(([name, number]) => calls[name] === number)
      .map(([name]) => name)
  const recent = Object.entries(x64.calls).filter(([, number]) => number >= 424)
  expect(alike(arm64.calls)).toEqual(recent.map(([name]) => name))
})

it('no two calls of a machine share a number', () => {
  for (const { calls } of Object.values(machines)) {
    expect(new Set(Object.values(calls)).size).toBe(Object.keys(calls).length)
  }
})
