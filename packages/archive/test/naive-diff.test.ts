import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError, type LayerId, parseLayerId, type ProtoDriver } from '@graphdriver/core'
import { afterAll, describe, expect, it } from 'vitest'
import { naiveDiff, TreeWorkers } from '../src/index.ts'
import { inChunks, rawTar } from '@graphdriver/core/conformance'
import { isRoot, listTree, scratch } from './support/scratch.ts'

const workers = new TreeWorkers({ threads: 2 })
afterAll(() => workers[Symbol.asyncDispose]())

/** Shows directories that exist, and counts who holds them. */
function directories(home: string): { readonly proto: ProtoDriver; readonly held: Map<LayerId, number> } {
  const held = new Map<LayerId, number>()
  const count = (id: LayerId, by: number) => held.set(id, (held.get(id) ?? 0) + by)
  const unused = () => Promise.reject(new Error('not for this test'))
  const proto: ProtoDriver = {
    name: 'directories',
    home,
    capabilities: {
      sharing: 'none',
      diff: { native: false, reason: 'test' },
      copyUp: 'none',
      maxDepth: 1,
      timestamps: 'nanoseconds',
      names: 'bytes',
      hardLinks: true,
      xattrs: 'all',
      deviceNodes: true,
      ownership: 'any',
      quota: 'none',
      inodeQuota: false,
      mappedOwners: false,
      mountLabel: false,
    },
    create: unused,
    createReadWrite: unused,
    remove: unused,
    get: async (id) => {
      const at = path.join(home, id)
      if (!existsSync(at)) throw new GraphDriverError('GD_LAYER_NOT_FOUND', `layer ${id} not found`, { id })
      count(id, 1)
      let open = true
      return {
        id,
        path: at,
        readonly: false,
        [Symbol.asyncDispose]: async () => {
          if (open) count(id, -1)
          open = false
        },
      }
    },
    put: unused,
    exists: unused,
    layers: async function* () {},
    status: unused,
    metadata: unused,
    cleanup: unused,
    [Symbol.asyncDispose]: unused,
  }
  return { proto, held }
}

const base = parseLayerId('base')
const top = parseLayerId('top')
const copy = parseLayerId('copy')
const missing = parseLayerId('missing')

function makeLayers(home: string): void {
  for (const id of [base, top, copy]) {
    mkdirSync(path.join(home, id, 'd'), { recursive: true })
    writeFileSync(path.join(home, id, 'same'), 'same')
    writeFileSync(path.join(home, id, 'd/gone'), 'gone')
  }
  rmSync(path.join(home, top, 'd/gone'))
  writeFileSync(path.join(home, top, 'd/new'), '12345')
  writeFileSync(path.join(home, top, 'same'), 'changed')
}

describe.skipIf(!isRoot)('naive diff (needs root)', () => {
  it('lists changes and their size, and lets go of both layers', async () => {
    await using dir = await scratch()
    makeLayers(dir.path)
    const { proto, held } = directories(dir.path)
    const driver = naiveDiff(proto, workers)
    expect(await driver.changes(top, base)).toEqual([
      { path: '/d', kind: 'modify' },
      { path: '/d/gone', kind: 'delete' },
      { path: '/d/new', kind: 'add' },
      { path: '/same', kind: 'modify' },
    ])
    expect(await driver.diffSize(top, base)).toBe(12)
    expect((await driver.changes(top, undefined)).every((change) => change.kind === 'add')).toBe(true)
    expect(await driver.diffSize(top, undefined)).toBe(12)
    expect([...held.values()]).toEqual([0, 0])
  })

  it('makes a tar of the changes that brings a copy of the base to the same state', async () => {
    await using dir = await scratch()
    makeLayers(dir.path)
    const { proto, held } = directories(dir.path)
    const driver = naiveDiff(proto, workers)
    const size = await driver.applyDiff(copy, base, driver.diff(top, base))
    expect(size).toBe(12)
    expect(listTree(path.join(dir.path, copy))).toEqual(listTree(path.join(dir.path, top)))
    expect(readFileSync(path.join(dir.path, copy, 'same'), 'utf8')).toBe('changed')
    expect([...held.values()]).toEqual([0, 0, 0])
  })

  it('carries names that are not UTF-8', async () => {
    await using dir = await scratch()
    makeLayers(dir.path)
    const name = Buffer.concat([Buffer.from(path.join(dir.path, top, 'x')), Buffer.from([0xff])])
    writeFileSync(name, 'bytes')
    const driver = naiveDiff(directories(dir.path).proto, workers)
    await driver.applyDiff(copy, base, driver.diff(top, base))
    const copied = Buffer.concat([Buffer.from(path.join(dir.path, copy, 'x')), Buffer.from([0xff])])
    expect(readFileSync(copied, 'utf8')).toBe('bytes')
  })

  it('lets go of the layers when the stream is left early or never read', async () => {
    await using dir = await scratch()
    makeLayers(dir.path)
    const { proto, held } = directories(dir.path)
    const driver = naiveDiff(proto, workers)
    for await (const _chunk of driver.diff(top, base)) {
      expect([...held.values()]).toEqual([1, 1])
      break
    }
    driver.diff(top, undefined)
    expect([...held.values()]).toEqual([0, 0])
  })

  it('rejects for layers that are not there, holding nothing', async () => {
    await using dir = await scratch()
    makeLayers(dir.path)
    const { proto, held } = directories(dir.path)
    const driver = naiveDiff(proto, workers)
    const expected = { code: 'GD_LAYER_NOT_FOUND', details: { id: 'missing' } }
    await expect(driver.changes(missing, base)).rejects.toMatchObject(expected)
    await expect(driver.diffSize(top, missing)).rejects.toMatchObject(expected)
    await expect(driver.applyDiff(missing, base, inChunks(rawTar()))).rejects.toMatchObject(expected)
    await expect(driver.diff(top, missing)[Symbol.asyncIterator]().next()).rejects.toMatchObject(expected)
    expect([...held.values()].every((count) => count === 0)).toBe(true)
  })

  it('applies whiteouts by removing', async () => {
    await using dir = await scratch()
    makeLayers(dir.path)
    const driver = naiveDiff(directories(dir.path).proto, workers)
    await driver.applyDiff(copy, base, inChunks(rawTar({ name: 'd/.wh.gone' }, { name: '.wh.same' })))
    expect(listTree(path.join(dir.path, copy))).toEqual(['d/'])
  })
})
