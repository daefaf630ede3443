import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, it } from 'vitest'
import {
  defineDriver,
  type DriverDefinition,
  GraphDriverError,
  loadDriver,
  type Probe,
  resolveDriver,
  selectDriver,
} from '../src/index.ts'

let root: string
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'gd-selection-'))
})
afterEach(() => rm(root, { recursive: true }))

const yes: Probe = { supported: true, notes: ['fine'] }
const no: Probe = {
  supported: false,
  code: 'wrong-filesystem',
  reason: 'not on this filesystem',
  hint: 'use another',
}

function driver(name: string, probe: Probe): DriverDefinition {
  return defineDriver({
    name,
    apiVersion: 1,
    platforms: [process.platform],
    summary: name,
    parse: (options) => options,
    probe: async () => probe,
    open: () => Promise.reject(new Error('not here')),
  })
}

const priority = ['a', 'b', 'c']

function load(...definitions: readonly DriverDefinition[]) {
  return async (name: string): Promise<DriverDefinition> => {
    const found = definitions.find((definition) => definition.name === name)
    if (found !== undefined) return found
    throw new GraphDriverError('GD_DRIVER_NOT_FOUND', `no ${name}`, { name, tried: [] })
  }
}

async function leaveState(name: string): Promise<void> {
  await mkdir(path.join(root, name))
  await writeFile(path.join(root, name, 'layer'), '')
}

it('takes the first of the list that can serve, and says why the others cannot', async () => {
  const chosen = await selectDriver({ root, priority, load: load(driver('b', no), driver('c', yes)) })
  expect(chosen.definition.name).toBe('c')
  expect(chosen.why).toBe('first that this host supports')
  expect(chosen.notes).toEqual(['fine'])
  expect(chosen.refusals.map(({ driver: name, code }) => [name, code])).toEqual([
    ['a', 'not-installed'],
    ['b', 'wrong-filesystem'],
  ])
})

it('stays with the driver whose layers are there, though a better one could serve', async () => {
  await leaveState('c')
  const chosen = await selectDriver({ root, priority, load: load(driver('a', yes), driver('c', yes)) })
  expect([chosen.definition.name, chosen.why]).toEqual(['c', 'prior state'])
})

it('does not take an empty directory for state', async () => {
  await mkdir(path.join(root, 'c'))
  const chosen = await selectDriver({ root, priority, load: load(driver('a', yes), driver('c', yes)) })
  expect(chosen.definition.name).toBe('a')
})

it('fails rather than hide the images of a driver that cannot serve any more', async () => {
  await leaveState('b')
  await expect(
    selectDriver({ root, priority, load: load(driver('a', yes), driver('b', no)) }),
  ).rejects.toMatchObject({
    code: 'GD_DRIVER_UNSUPPORTED',
    details: { driver: 'b', reason: 'wrong-filesystem', hint: 'use another' },
  })
})

it('refuses to guess between two prior states', async () => {
  await leaveState('a')
  await leaveState('b')
  const drivers = load(driver('a', yes), driver('b', yes))
  await expect(selectDriver({ root, priority, load: drivers })).rejects.toMatchObject({
    code: 'GD_PRIOR_STATE_AMBIGUOUS',
    details: { drivers: ['a', 'b'] },
  })
  expect((await selectDriver({ root, priority, load: drivers, driver: 'b' })).definition.name).toBe('b')
})

it('refuses a driver that would hide the images of another', async () => {
  await leaveState('a')
  await expect(
    selectDriver({ root, priority, load: load(driver('a', yes), driver('b', yes)), driver: 'b' }),
  ).rejects.toMatchObject({ code: 'GD_PRIOR_STATE_MISMATCH', details: { driver: 'b', drivers: ['a'] } })
})

it('reports every reason when nobody can serve', async () => {
  await expect(selectDriver({ root, priority, load: load(driver('a', no)) })).rejects.toMatchObject({
    code: 'GD_NO_DRIVER',
    message: expect.stringContaining('a: not on this filesystem'),
  })
})

it('gives a driver its options with or without its prefix', async () => {
  let seen: unknown
  const definition: DriverDefinition = { ...driver('a', yes), parse: (options) => (seen = options) }
  await selectDriver({ root, priority, load: load(definition), options: { 'a.size': '1G', inodes: '5' } })
  expect(seen).toEqual({ size: '1G', inodes: '5' })
})

it('says what to install for a driver that is not there', async () => {
  await expect(loadDriver('no-such-driver')).rejects.toMatchObject({
    code: 'GD_DRIVER_NOT_FOUND',
    message: expect.stringContaining('npm install @graphdriver/no-such-driver'),
  })
})

it('loads a driver from a path, and refuses a module that is none', async () => {
  const good = path.join(root, 'good.mjs')
  const bad = path.join(root, 'bad.mjs')
  await writeFile(
    good,
    `export default { name: 'good', apiVersion: 1, platforms: [], summary: '', parse() {}, probe() {}, open() {} }`,
  )
  await writeFile(bad, 'export default 1')
  expect((await loadDriver(good)).name).toBe('good')
  await expect(loadDriver(bad)).rejects.toMatchObject({ code: 'GD_DRIVER_INVALID' })
})

it('finds a driver package installed beside the program', async () => {
  const home = path.join(root, 'node_modules', 'graphdriver-mine')
  await mkdir(home, { recursive: true })
  await writeFile(
    path.join(home, 'package.json'),
    JSON.stringify({ name: 'graphdriver-mine', type: 'module', exports: './index.js' }),
  )
  await writeFile(
    path.join(home, 'index.js'),
    `export default { name: 'mine', apiVersion: 1, platforms: [], summary: '', parse() {}, probe() {}, open() {} }`,
  )
  const from = path.join(root, 'main.js')
  expect((await loadDriver('mine', { from })).name).toBe('mine')
  expect(resolveDriver('mine', { from }).href).toBe(pathToFileURL(path.join(home, 'index.js')).href)
  expect(() => resolveDriver('mine')).toThrow("driver 'mine' is not installed")
})
