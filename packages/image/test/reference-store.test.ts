import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { digestOf } from '@graphdriver/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openReferenceStore, type ReferenceStore } from '../src/index.ts'
import { DataRoot, treeOf } from './data-root.ts'

const [one, two] = [digestOf('1'), digestOf('2')]

describe('the names of a store', () => {
  let root: DataRoot

  beforeEach(() => {
    root = new DataRoot()
  })

  afterEach(async () => {
    await root[Symbol.asyncDispose]()
  })

  const open = (): Promise<ReferenceStore> => openReferenceStore({ root: root.path, driver: 'vfs' })
  const file = (): string => path.join(root.imageDirectory, 'repositories.json')

  it("are in Docker's file, sorted, for the owner alone", async () => {
    const names = await open()
    await names.tag('zoo/app', one)
    await names.tag('docker.io/library/busybox:1', two)
    await names.tag(`busybox@${one}`, one)
    await names.tag('busybox', one)
    expect(readFileSync(file(), 'utf8')).toBe(
      `{"Repositories":{"busybox":{"busybox:1":"${two}","busybox:latest":"${one}","busybox@${one}":"${one}"},` +
        `"zoo/app":{"zoo/app:latest":"${one}"}}}`,
    )
    expect(statSync(file()).mode & 0o777).toBe(0o600)
    expect(treeOf(root.imageDirectory)).toHaveLength(1)
  })

  it('are found in short and in whole form', async () => {
    await (await open()).tag('busybox', one)
    const names = await open()
    expect(names.resolve('docker.io/library/busybox:latest')).toBe(one)
    expect(names.resolve('busybox:other')).toBeUndefined()
    expect(names.namesOf(one)).toEqual(['busybox:latest'])
    expect(names.namesOf(two)).toEqual([])
  })

  it('go with their repository when the last one goes', async () => {
    const names = await open()
    await names.tag('busybox', one)
    await names.tag('a', two)
    expect(await names.untag('busybox:latest')).toBe(one)
    expect(readFileSync(file(), 'utf8')).toBe(`{"Repositories":{"a":{"a:latest":"${two}"}}}`)
    await expect(names.untag('busybox')).rejects.toMatchObject({ code: 'GD_IMAGE_NOT_FOUND' })
  })

  it('that another process gave are kept', async () => {
    const [mine, other] = [await open(), await open()]
    await mine.tag('mine', one)
    await other.tag('other', two)
    await mine.tag('more', one)
    expect((await open()).list().map(({ name }) => name)).toEqual([
      'mine:latest',
      'more:latest',
      'other:latest',
    ])
  })

  it('are all kept when they are given at once', async () => {
    const names = await open()
    const given = Array.from({ length: 20 }, (_, at) => `app${at}`)
    await Promise.all(given.map((name) => names.tag(name, one)))
    expect((await open()).list()).toHaveLength(20)
  })

  it('refuses sha256, which would look like a digest', async () => {
    await expect((await open()).tag('sha256:abc', one)).rejects.toMatchObject({
      code: 'GD_INVALID_REFERENCE',
    })
  })

  it.each(['', 'x', '[]', '{"Repositories":1}', '{"Repositories":{"a":{"a:b":"x"}}}'])(
    'cannot be opened from %j, which is not touched',
    async (content) => {
      mkdirSync(root.imageDirectory, { recursive: true })
      writeFileSync(file(), content)
      await expect(open()).rejects.toMatchObject({ code: 'GD_STORE_CORRUPT', details: { path: file() } })
      expect(readFileSync(file(), 'utf8')).toBe(content)
    },
  )

  it('writes nothing by being opened', async () => {
    mkdirSync(root.path)
    expect((await open()).list()).toEqual([])
    expect(treeOf(root.path)).toEqual([])
  })
})
