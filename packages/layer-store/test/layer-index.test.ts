/** Stores of many layers, which are opened by one file that repeats what the records say. */
import { readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { digestHex, type LayerRecord } from '@graphdriver/core'
import vfs from '@graphdriver/vfs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { DataRoot } from './data-root.ts'
import { diffIdOf, stream, tar } from './tar-file.ts'

const count = 300

function layer(number: number): Buffer {
  return tar({ name: `file-${number}` })
}

describe('the index of layers', () => {
  let root: DataRoot
  let index: string

  beforeEach(async () => {
    root = new DataRoot(vfs)
    index = path.join(root.layerdb, '.graphdriver-layers')
    await using store = await root.store({ durability: 'fast' })
    const base = await store.register(stream(layer(0)), undefined)
    for (let at = 1; at < count; at++)
      await store.register(stream(layer(at)), at % 2 === 0 ? base.chainId : undefined)
  })

  afterEach(async () => {
    await root[Symbol.asyncDispose]()
  })

  async function listed(): Promise<readonly LayerRecord[]> {
    await using store = await root.store({ readOnly: true })
    return store.layers().toSorted((a, b) => (a.chainId < b.chainId ? -1 : 1))
  }

  it('says what the records say', async () => {
    const indexed = await listed()
    rmSync(index)
    expect(await listed()).toEqual(indexed)
    expect(indexed).toHaveLength(count)
  })

  it('is what is read: no record is', async () => {
    const damaged = path.join(root.layerdb, 'sha256', digestHex(diffIdOf(layer(1))))
    writeFileSync(path.join(damaged, 'size'), 'damaged')
    expect(await listed()).toHaveLength(count)
    rmSync(index)
    expect(await listed()).toHaveLength(count - 1)
  })

  it.each([
    [
      'a layer was added',
      async () => {
        await using store = await root.store({ durability: 'fast' })
        await store.register(stream(layer(count)), undefined)
        writeFileSync(index, readFileSync(`${index}.before`))
      },
      count + 1,
    ],
    [
      'a record is gone',
      async () => {
        rmSync(path.join(root.layerdb, 'sha256', digestHex(diffIdOf(layer(1)))), { recursive: true })
      },
      count - 1,
    ],
    ['it is torn', async () => writeFileSync(index, readFileSync(index).subarray(0, 20_000)), count],
    [
      'a byte of it is another',
      async () => {
        const bytes = readFileSync(index)
        bytes[30_000] = 0x41
        writeFileSync(index, bytes)
      },
      count,
    ],
    [
      'the directory has another time',
      async () => utimesSync(path.join(root.layerdb, 'sha256'), 0, 0),
      count,
    ],
    [
      'it is a directory’s worth of something else',
      async () => writeFileSync(index, 'x\n'.repeat(1000)),
      count,
    ],
  ] as const)('does not count when %s', async (_, change, expected) => {
    writeFileSync(`${index}.before`, readFileSync(index))
    await change()
    expect(await listed()).toHaveLength(expected)
  })

  it('is written when layers have changed, by whoever may write, and by no other', async () => {
    const before = readFileSync(index, 'utf8')
    await listed()
    {
      await using store = await root.store({ durability: 'fast' })
      expect(store.layers()).toHaveLength(count)
    }
    expect(readFileSync(index, 'utf8')).toBe(before)
    {
      await using store = await root.store({ durability: 'fast' })
      await (await store.get(diffIdOf(layer(1)) as never)).release()
    }
    expect(readFileSync(index, 'utf8')).not.toBe(before)
    expect(await listed()).toHaveLength(count - 1)
    expect(readdirSync(root.layerdb).toSorted()).toEqual([
      '.graphdriver-layers',
      '.graphdriver-unflushed',
      'sha256',
      'tmp',
    ])
  })
})
