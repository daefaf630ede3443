import { expect, test } from 'vitest'
import {
  chooseWay,
  maximumDepth,
  mountData,
  mountOptions,
  type Stack,
} from '../../src/overlayfs/mount-data.ts'

const label = 'system_u:object_r:container_file_t:s0:c1,c2'
const append = { pageSize: 4096, appendsLower: true }
const classic = { pageSize: 4096, appendsLower: false }

function stackOf(depth: number, more: Partial<Stack> = {}): Stack {
  const lower = Array.from({ length: depth }, (_, index) => `l/${String(index).padStart(26, 'A')}`)
  return {
    lower,
    upper: { diff: 'x/diff', work: 'x/work' },
    options: [['index', 'off'], 'userxattr'],
    ...more,
  }
}

test('the string lists options, layers nearest first, upper, work and label in Docker’s order', () => {
  const stack = stackOf(0, { lower: ['l/A', 'l/B'], label })
  expect(mountData(stack, '/h')).toBe(
    `index=off,userxattr,lowerdir=/h/l/A:/h/l/B,upperdir=/h/x/diff,workdir=/h/x/work,context="${label}"`,
  )
})

test('a stack that is only read has no upper directory', () => {
  expect(mountData(stackOf(0, { lower: ['x/diff', 'l/A'], upper: undefined, options: [] }), '/h')).toBe(
    'lowerdir=/h/x/diff:/h/l/A',
  )
})

test('what fits in a page is mounted by mount(2), to the last byte', () => {
  const stack = stackOf(10)
  const length = mountData(stack, '/h').length
  expect(chooseWay('/h', stack, { ...append, pageSize: length + 1 }).by).toBe('mount')
  expect(chooseWay('/h', stack, { ...append, pageSize: length }).by).toBe('options')
})

test('the label counts against the page', () => {
  const stack = stackOf(10)
  const pageSize = mountData(stack, '/h').length + 1
  expect(chooseWay('/h', { ...stack, label }, { ...append, pageSize }).by).toBe('options')
})

test('bytes are counted, not characters', () => {
  const stack = stackOf(3)
  const pageSize = mountData(stack, '/héhé').length + 1
  expect(chooseWay('/héhé', stack, { ...append, pageSize }).by).toBe('options')
})

test.each(['/a:b', '/a,b', '/a\\b'])('a home called %s never goes into the string', (home) => {
  expect(chooseWay(home, stackOf(1), append).by).toBe('options')
  expect(chooseWay(home, stackOf(1), classic)).toMatchObject({ by: 'command' })
  expect(JSON.stringify(chooseWay(home, stackOf(1), classic))).not.toContain(home)
})

test('without lowerdir+ a child process mounts by relative paths, and 128 layers fit', () => {
  const stack = stackOf(127, { upper: { diff: `${'a'.repeat(64)}/diff`, work: `${'a'.repeat(64)}/work` } })
  const way = chooseWay(`/${'long'.repeat(60)}`, stack, classic)
  expect(way.by).toBe('command')
  expect(maximumDepth(classic)).toBe(128)
})

test('without lowerdir+ there is no way for what exceeds a page', () => {
  expect(chooseWay('/h', stackOf(150), classic).by).toBe('nothing')
})

test('the kernel stacks 500 lower directories and no more', () => {
  expect(maximumDepth(append)).toBe(500)
  expect(chooseWay('/h', stackOf(500), append).by).toBe('options')
  expect(chooseWay('/h', stackOf(501), append).by).toBe('nothing')
})

test('option by option, each layer is appended by its own name', () => {
  const options = mountOptions(stackOf(0, { lower: ['l/A', 'l/B'], label }), (place) => `/h/${place}`)
  expect(options).toEqual([
    ['source', 'overlay'],
    ['index', 'off'],
    'userxattr',
    ['lowerdir+', '/h/l/A'],
    ['lowerdir+', '/h/l/B'],
    ['upperdir', '/h/x/diff'],
    ['workdir', '/h/x/work'],
    ['context', label],
  ])
})
