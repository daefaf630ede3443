/** What was seen on a real aufs 6.1, bound by bound, and that no plan goes beyond. */
import { MS } from '@graphdriver/sys'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Branch, branchesPerCall, canName, type MountCall, planMount } from '../src/kernel/plan.ts'
import { hasAufs } from '../src/kernel/host.ts'

const limits = { pageSize: 4096, dirperm1: true }

function stack(count: number, place = (index: number): string => `/d/${index}`): readonly Branch[] {
  return Array.from({ length: count }, (_, index) => ({
    path: place(index),
    mode: index === 0 ? 'rw' : 'ro+wh',
  }))
}

function plan(branches: readonly Branch[], label?: string, pageSize = 4096): readonly MountCall[] {
  const calls = planMount(branches, { ...limits, pageSize }, label)
  if (calls === undefined) throw new Error('nothing fits')
  return calls
}

/** What aufs makes of a plan: it knows commas and colons, and nothing else. */
function branchesIn(calls: readonly MountCall[]): readonly string[] {
  return calls.flatMap(({ data }, at) => {
    if (at === 0) return (/^br:([^,]*)/.exec(data)?.[1] ?? '').split(':')
    return data
      .split(',')
      .filter((option) => option.startsWith('append:'))
      .map((option) => option.slice('append:'.length))
  })
}

const wanted = (branches: readonly Branch[]): readonly string[] =>
  branches.map(({ path, mode }) => `${path}=${mode}`)

describe('a mount of aufs', () => {
  test('names its branches, whiteouts honoured, and the options of Docker', () => {
    expect(plan(stack(3))).toEqual([
      { flags: 0, data: 'br:/d/0=rw:/d/1=ro+wh:/d/2=ro+wh,dio,xino=/dev/shm/aufs.xino,dirperm1' },
    ])
  })

  test('leaves out dirperm1 where the kernel does not take it', () => {
    const calls = planMount(stack(1), { ...limits, dirperm1: false })
    expect(calls).toEqual([{ flags: 0, data: 'br:/d/0=rw,dio,xino=/dev/shm/aufs.xino' }])
  })

  test('has the label in every call', () => {
    const calls = plan(stack(100), 'system_u:object_r:container_file_t:s0:c1,c2')
    expect(calls.length).toBeGreaterThan(1)
    for (const { data } of calls)
      expect(data.endsWith(',context="system_u:object_r:container_file_t:s0:c1,c2"')).toBe(true)
  })

  // 81 to 83 beside the writable one are E2BIG, and with 84 in one `br:` the kernel panics.
  test.each([80, 81, 84, 85, 127])('of %i branches names no more than 80 in one call', (count) => {
    const branches = stack(count)
    const calls = plan(branches)
    expect(branchesIn(calls)).toEqual(wanted(branches))
    for (const call of calls)
      expect(branchesIn([calls[0] as MountCall, call]).length).toBeLessThanOrEqual(2 * branchesPerCall)
    expect(branchesIn(calls.slice(0, 1)).length).toBe(Math.min(count, branchesPerCall))
    expect(calls.map(({ flags }) => flags)).toEqual(calls.map((_, at) => (at === 0 ? 0 : MS.REMOUNT)))
  })

  // mount(2) cuts what is longer without a word.
  test.each([41, 42, 43, 60, 127])('of %i layers with Docker’s long names stays within the page', (count) => {
    const branches = stack(count, (index) => `/var/lib/docker/aufs/diff/${String(index).padStart(64, '0')}`)
    const calls = plan(branches)
    for (const { data } of calls) expect(Buffer.byteLength(data)).toBeLessThanOrEqual(4095)
    expect(branchesIn(calls)).toEqual(wanted(branches))
    expect(calls.length).toBeGreaterThan(count < 43 ? 0 : 1)
  })

  test('fills the page to its last byte, and not one more', () => {
    const fixed = 'br:=rw,dio,xino=/dev/shm/aufs.xino,dirperm1'.length
    const exact: readonly Branch[] = [{ path: `/${'x'.repeat(4095 - fixed - 1)}`, mode: 'rw' }]
    expect(Buffer.byteLength(plan(exact)[0]?.data ?? '')).toBe(4095)
    expect(planMount([{ path: `/${'x'.repeat(4095 - fixed)}`, mode: 'rw' }], limits)).toBeUndefined()
  })

  test('counts bytes, not characters', () => {
    const branches = stack(60, (index) => `/${'é'.repeat(60)}/${index}`)
    for (const { data } of plan(branches)) expect(Buffer.byteLength(data)).toBeLessThanOrEqual(4095)
    expect(branchesIn(plan(branches))).toEqual(wanted(branches))
  })

  test('any stack is named whole, in order, within the bounds of each call', () => {
    const names = fc.array(fc.stringMatching(/^[a-z0-9 _.-]{1,200}$/), { minLength: 1, maxLength: 127 })
    fc.assert(
      fc.property(names, fc.constantFrom(4096, 16_384, 65_536), fc.boolean(), (paths, pageSize, labelled) => {
        const branches = stack(paths.length, (index) => `/${paths[index]}`)
        const calls = plan(branches, labelled ? 'a:b:c:s0' : undefined, pageSize)
        expect(branchesIn(calls)).toEqual(wanted(branches))
        for (const [at, { data, flags }] of calls.entries()) {
          expect(Buffer.byteLength(data)).toBeLessThan(pageSize)
          const named = at === 0 ? branchesIn([{ data, flags }]) : data.match(/append:/g)
          expect(named?.length ?? 0).toBeLessThanOrEqual(branchesPerCall)
        }
      }),
    )
  })

  // They break aufs' parsing; a space does not.
  test.each([
    ['/a,b', false],
    ['/a:b', false],
    ['/a=b', false],
    ['/a b', true],
    ['/var/lib/docker/aufs', true],
  ])('whether it can be told of %s: %s', (place, answer) => {
    expect(canName(place)).toBe(answer)
  })

  test.each([
    ['nodev\tsysfs\nnodev\taufs\n\text4\n', true],
    ['nodev\tsysfs\n\text4\n', false],
    ['nodev\taufs2\n', false],
    ['nodev\tnotaufs\n', false],
  ])('the kernel’s list of filesystems is read word by word', (text, answer) => {
    expect(hasAufs(text)).toBe(answer)
  })
})
