/** What containerd's own suite of snapshotters asks for, beside what is ours. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { defineDriver, type Driver, type DriverDefinition } from '@graphdriver/core'
import { type TemporaryDirectory, temporaryDirectory } from '@graphdriver/core/conformance'
import overlay2 from '@graphdriver/overlay2'
import vfs from '@graphdriver/vfs'
import { need } from '@tooling/lab'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type SnapshotRecord, Snapshots } from '../src/index.ts'

const missing = need({ root: true })
const all = (): boolean => true

interface Case {
  readonly how: string
  readonly definition: DriverDefinition
  readonly module?: URL | undefined
}

const drivers: readonly Case[] = [
  { how: 'overlay2', definition: overlay2 },
  { how: 'vfs', definition: vfs },
  {
    how: 'overlay2 in its own thread',
    definition: overlay2,
    module: new URL(import.meta.resolve('@graphdriver/overlay2')),
  },
]

describe.each(drivers)(`snapshots on $how`, { skip: missing !== undefined }, ({ definition, module }) => {
  const { name } = definition
  let directory: TemporaryDirectory
  let snapshots: Snapshots

  beforeEach(async () => {
    directory = await temporaryDirectory()
    snapshots = await open()
  })

  afterEach(async () => {
    for (const { key, kind } of [...snapshots.list(all)].toReversed())
      if (kind !== 'committed') await snapshots.remove(key)
    await snapshots.cleanup()
    await snapshots[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  function open(own: Partial<Case> = { module }): Promise<Snapshots> {
    return Snapshots.open({ definition, ...own, root: directory.path })
  }

  const prepare = async (key: string, parent?: string): Promise<string> =>
    (await snapshots.prepare({ key, parent, labels: {} }))[0]?.source ?? ''
  const view = async (key: string, parent?: string): Promise<string> =>
    (await snapshots.view({ key, parent, labels: {} }))[0]?.source ?? ''
  const keys = (): readonly string[] => [...snapshots.list(all)].map(({ key }) => key).toSorted()

  async function committed(key: string, parent?: string): Promise<void> {
    writeFileSync(path.join(await prepare(`${key}-active`, parent), key), key)
    await snapshots.commit(key, `${key}-active`, {})
  }

  test('what is written in an active snapshot is in those on it, once it is committed', async () => {
    await committed('base')
    await committed('top', 'base')
    const seen = await view('look', 'top')
    expect(readdirSync(seen).toSorted()).toEqual(['base', 'top'])
    const box = await prepare('box', 'top')
    writeFileSync(path.join(box, 'base'), 'changed')
    expect(readFileSync(path.join(seen, 'base'), 'utf8')).toBe('base')
    expect(snapshots.stat('top')).toMatchObject({ kind: 'committed', parent: 'base' })
  })

  test('a root of its own has mode 0755, and a view of nothing is empty', async () => {
    expect(readdirSync(await view('nothing'))).toEqual([])
    const [mount] = await snapshots.mounts('nothing')
    expect(mount).toMatchObject({ type: 'bind', options: ['rbind', 'ro'] })
  })

  test('keys and names are there once', async () => {
    await committed('base')
    await prepare('box', 'base')
    await expect(prepare('box', 'base')).rejects.toMatchObject({ kind: 'exists' })
    await expect(view('box', 'base')).rejects.toMatchObject({ kind: 'exists' })
    await expect(prepare('base')).rejects.toMatchObject({ kind: 'exists' })
    await expect(snapshots.commit('base', 'box', {})).rejects.toMatchObject({ kind: 'exists' })
    const both = await Promise.allSettled([prepare('same'), prepare('same')])
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
  })

  test('only committed ones have children, only active ones are committed', async () => {
    await committed('base')
    await prepare('box', 'base')
    await view('look', 'base')
    await expect(prepare('child', 'box')).rejects.toMatchObject({ kind: 'invalid' })
    await expect(prepare('child', 'none')).rejects.toMatchObject({ kind: 'not-found' })
    await expect(snapshots.commit('other', 'look', {})).rejects.toMatchObject({ kind: 'precondition' })
    await expect(snapshots.commit('other', 'base', {})).rejects.toMatchObject({ kind: 'precondition' })
    await expect(snapshots.commit('other', 'none', {})).rejects.toMatchObject({ kind: 'not-found' })
    await expect(snapshots.commit('', 'box', {})).rejects.toMatchObject({ kind: 'invalid' })
    await expect(snapshots.mounts('base')).rejects.toMatchObject({ kind: 'precondition' })
    expect(keys()).toEqual(['base', 'box', 'look'])
  })

  test('what has something on it stays, and what is removed is gone with its layer', async () => {
    await committed('base')
    await committed('top', 'base')
    const source = await view('look', 'top')
    await expect(snapshots.remove('base')).rejects.toMatchObject({ kind: 'precondition' })
    await expect(snapshots.remove('top')).rejects.toMatchObject({ kind: 'precondition' })
    await snapshots.remove('look')
    // Of vfs it is the layer's own directory, which is there as long as the layer.
    expect(existsSync(path.join(source, 'base'))).toBe(name === 'vfs')
    await snapshots.remove('top')
    await snapshots.remove('base')
    await expect(snapshots.remove('base')).rejects.toMatchObject({ kind: 'not-found' })
    await snapshots.cleanup()
    expect(await Array.fromAsync(snapshots.driver.layers())).toEqual([])
  })

  test('labels are changed one by one or all together, and nothing else is', async () => {
    await snapshots.prepare({ key: 'box', parent: undefined, labels: { a: '1', 'b.c/d': '2' } })
    const labels = async (wanted: object, ...paths: string[]): Promise<SnapshotRecord['labels']> =>
      (await snapshots.update('box', wanted as Record<string, string>, paths)).labels
    expect(await labels({ a: '3' }, 'labels.a')).toEqual({ a: '3', 'b.c/d': '2' })
    expect(await labels({ a: '' }, 'labels.a')).toEqual({ 'b.c/d': '2' })
    expect(await labels({ 'b.c/d': '4', ignored: 'x' }, 'labels.b.c/d')).toEqual({ 'b.c/d': '4' })
    expect(await labels({ new: 'y' })).toEqual({ new: 'y' })
    await expect(snapshots.update('box', {}, ['parent'])).rejects.toMatchObject({ kind: 'invalid' })
    await expect(snapshots.update('none', {}, [])).rejects.toMatchObject({ kind: 'not-found' })
    expect(snapshots.stat('box').labels).toEqual({ new: 'y' })
  })

  test('a committed one has the labels that it was committed with', async () => {
    await snapshots.prepare({ key: 'box', parent: undefined, labels: { active: 'yes' } })
    await snapshots.commit('base', 'box', { committed: 'yes' })
    expect(snapshots.stat('base').labels).toEqual({ committed: 'yes' })
  })

  test('usage is what a snapshot adds', async () => {
    writeFileSync(path.join(await prepare('a'), 'file'), Buffer.alloc(100_000))
    await snapshots.commit('base', 'a', {})
    writeFileSync(path.join(await prepare('b', 'base'), 'more'), Buffer.alloc(50_000))
    expect(await snapshots.usage('base')).toEqual({ size: 100_000, inodes: 1 })
    expect((await snapshots.usage('b')).size).toBe(50_000)
    await view('look', 'base')
    expect(await snapshots.usage('look')).toEqual({ size: 0, inodes: 0 })
    await expect(snapshots.usage('none')).rejects.toMatchObject({ kind: 'not-found' })
  })

  test('all of it is there when it is opened again, and mounts go on', async () => {
    await committed('base')
    const box = await prepare('box', 'base')
    writeFileSync(path.join(box, 'file'), 'kept')
    await snapshots[Symbol.asyncDispose]()
    snapshots = await open()
    expect(keys()).toEqual(['base', 'box'])
    const [again] = await snapshots.mounts('box')
    expect(readFileSync(path.join(again?.source ?? '', 'file'), 'utf8')).toBe('kept')
    await snapshots.commit('top', 'box', {})
    expect(snapshots.stat('top').parent).toBe('base')
  })

  test('one process at a time has a root', async () => {
    await expect(open()).rejects.toMatchObject({ code: 'GD_IN_USE' })
  })

  test('what a process left that died is put right', async () => {
    await committed('base')
    await prepare('box', 'base')
    const records = path.join(directory.path, 'snapshots', name)
    const before = new Map(readdirSync(records).map((file) => [file, readFileSync(path.join(records, file))]))
    await snapshots.commit('top', 'box', {})
    // It died before it forgot what it had committed, and before it had written of another layer.
    for (const [file, text] of before) writeFileSync(path.join(records, file), text)
    const orphan = 'orphan' as Parameters<Driver['create']>[0]
    await snapshots.driver.createReadWrite(orphan)
    await snapshots[Symbol.asyncDispose]()
    snapshots = await open()
    expect(keys()).toEqual(['base', 'top'])
    await snapshots.cleanup()
    expect(await Array.fromAsync(snapshots.driver.layers())).not.toContain(orphan)
    expect(readdirSync(await view('look', 'top'))).toEqual(['base'])
  })

  test('a record that is none is named, and no layer is deleted', async () => {
    await committed('base')
    await snapshots[Symbol.asyncDispose]()
    const records = path.join(directory.path, 'snapshots', name)
    const [file = ''] = readdirSync(records)
    const text = readFileSync(path.join(records, file))
    writeFileSync(path.join(records, file), '{')
    await expect(open()).rejects.toMatchObject({ code: 'GD_STORE_CORRUPT' })
    writeFileSync(path.join(records, file), text)
    snapshots = await open()
    expect(readdirSync(await view('look', 'base'))).toEqual(['base'])
  })

  test('a layer that cannot be made leaves no snapshot, one that cannot be deleted is tried again', async () => {
    await snapshots[Symbol.asyncDispose]()
    let fails = true
    const failing = defineDriver({
      ...definition,
      async open(host) {
        const driver = await definition.open(host)
        return new Proxy(driver, {
          get(target, property) {
            const value: unknown = Reflect.get(target, property)
            if (fails && ['createReadWrite', 'remove'].includes(String(property)))
              return () => Promise.reject(new Error('no'))
            return typeof value === 'function' ? (value.bind(target) as unknown) : value
          },
        })
      },
    })
    snapshots = await open({ definition: failing })
    await expect(prepare('box')).rejects.toThrow('no')
    expect(keys()).toEqual([])
    fails = false
    await prepare('box')
    fails = true
    await snapshots.remove('box')
    await snapshots.cleanup()
    expect(await Array.fromAsync(snapshots.driver.layers())).toHaveLength(1)
    fails = false
    await snapshots.cleanup()
    expect(await Array.fromAsync(snapshots.driver.layers())).toEqual([])
  })
})
