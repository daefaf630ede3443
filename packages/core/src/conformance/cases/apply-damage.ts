/** Tars that are damaged, or hold what no layer can: the call fails, names the entry, and `remove` clears the rest. */
import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import type { ErrorCode } from '../../error.ts'
import type { CaseBody } from '../case.ts'
import type { CaseContext } from '../context.ts'
import { contentBytes, directory, file, type Recipe, symlink } from '../recipe/step.ts'
import { entryBlocks, inChunks, type RawEntry, rawTar } from '../tar/raw-tar.ts'
import { listing } from '../tree/listing.ts'
import { appliedLayer, namesEntry } from './applied-layer.ts'
import { patched } from '../tar/patched-header.ts'

interface Damage {
  readonly name: string
  readonly title: string
  readonly seen?: string
  readonly bytes: () => Buffer
  /** The entry that the error must name, where the damage leaves one to name. */
  readonly entry?: string
  readonly code?: ErrorCode
}

const lowerRecipe: Recipe = [
  directory('d'),
  file('d/f', 'lower'),
  file('file', 'lower'),
  symlink('a', 'b'),
  symlink('b', 'a'),
]

function damage({ name, title, bytes, entry, code = 'GD_ARCHIVE_INVALID', ...rest }: Damage): CaseBody {
  return {
    ...rest,
    name: `damage-${name}`,
    title,
    async run(context) {
      const { driver, id, within } = context
      const lower = await context.layer('lower', undefined, lowerRecipe)
      const before = await within(lower, listing)
      const upper = id('upper')
      await driver.create(upper, { parent: lower })
      await assert.rejects(driver.applyDiff(upper, lower, inChunks(bytes())), namesEntry(entry, code))
      assert.deepEqual(await within(lower, listing), before, 'the parent')
      await driver.remove(upper)
      await isFresh(context, before)
    },
  }
}

/** The id that failed is free, and what is made of it has nothing of the failure. */
async function isFresh(context: CaseContext, before: readonly string[]): Promise<void> {
  const { driver, id, within } = context
  assert.equal(await driver.exists(id('upper')), false)
  assert.deepEqual(await Array.fromAsync(driver.layers()), ['lower'])
  const again = await appliedLayer(context, 'upper', id('lower'), { name: 'd/good', data: 'good' })
  const expected = [...before, 'd/good "good"'].toSorted((a, b) => (nameIn(a) < nameIn(b) ? -1 : 1))
  assert.deepEqual(await within(again, listing), expected)
}

function nameIn(line: string): string {
  return line.split(' ')[0]?.replace(/\/$/, '') ?? ''
}

const good: RawEntry = { name: 'd/half', data: 'half' }
const after = (blocks: Buffer): Buffer => Buffer.concat([entryBlocks(good), blocks, Buffer.alloc(1024)])

const all: readonly Damage[] = [
  {
    name: 'cut-in-header',
    title: 'a tar that ends within a header is an error',
    bytes: () => rawTar(good, { name: 'next', data: 'x' }).subarray(0, 1024 + 300),
  },
  {
    name: 'cut-in-data',
    title: 'a tar that ends within a file is an error that names the file',
    bytes: () => rawTar(good, { name: 'big', data: Buffer.alloc(200_000, 1) }).subarray(0, 100_000),
    entry: 'big',
  },
  {
    name: 'cut-before-data',
    title: 'a tar that ends between a header and the content that it promises is an error',
    bytes: () => rawTar(good, { name: 'big', data: 'content' }).subarray(0, 1536),
    entry: 'big',
  },
  {
    name: 'cut-after-extension',
    title: 'a tar that ends after a PAX header and before its entry is an error',
    bytes: () => rawTar(good, { name: 'n'.repeat(120) }).subarray(0, 1024 + 1024),
  },
  {
    name: 'checksum',
    title: 'a header whose checksum does not fit is an error',
    bytes: () => {
      const bytes = rawTar(good, { name: 'broken', data: 'x' })
      bytes.write('B', 1024, 'latin1')
      return bytes
    },
  },
  {
    name: 'random-bytes',
    title: 'bytes that are no tar are an error',
    bytes: () => contentBytes({ bytes: 20_000, seed: 3 }),
  },
  {
    name: 'compressed',
    title: 'a compressed tar is an error, since who calls has to decompress it',
    bytes: () => gzipSync(rawTar(good)),
  },
  {
    name: 'negative-size',
    title: 'a file of negative size is an error',
    bytes: () => after(patched({ name: 'negative' }, 124, Buffer.alloc(12, 0xff))),
    entry: 'negative',
  },
  {
    name: 'number-field',
    title: 'a header field that is no number is an error that names the entry',
    bytes: () => after(patched({ name: 'letters' }, 108, Buffer.from('abcdefg\0'))),
    entry: 'letters',
  },
  {
    name: 'pax-record',
    title: 'a PAX record whose length is wrong is an error',
    bytes: () =>
      after(
        Buffer.concat([entryBlocks({ name: 'x', type: 'x', data: '99 path=short\n' }), entryBlocks(good)]),
      ),
  },
  {
    name: 'name-with-nul',
    title: 'a name with a NUL in it is an error',
    bytes: () => rawTar(good, { name: 'x', pax: { path: 'a\0b' } }),
  },
  {
    name: 'endless-extension',
    title: 'an extension header of gigabytes is refused before it is read',
    bytes: () => after(patched({ name: 'x', type: 'x' }, 124, Buffer.from('77777777777\0'))),
  },
  {
    name: 'unknown-type',
    title: 'an entry of a type that no file can have is refused by name',
    seen: 'moby: unhandled tar header type',
    bytes: () => rawTar(good, { name: 'd/strange', type: 'Z' }),
    entry: 'd/strange',
    code: 'GD_ARCHIVE_UNSUPPORTED',
  },
  {
    name: 'below-a-file',
    title: 'an entry below something that is no directory in the layer below is an error that names it',
    bytes: () => rawTar(good, { name: 'file/x' }),
    entry: 'file/x',
  },
  {
    name: 'below-own-file',
    title: 'an entry below a file of the same tar is an error that names it',
    bytes: () => rawTar(good, { name: 'd/half/x' }),
    entry: 'd/half/x',
  },
  {
    name: 'symlink-loop',
    title: 'an entry whose path leads through a loop of symbolic links is an error that names it',
    bytes: () => rawTar(good, { name: 'a/x' }),
    entry: 'a/x',
  },
  {
    name: 'root-as-file',
    title: 'an entry that would make the root a file is an error',
    bytes: () => rawTar(good, { name: './', type: '0' }),
  },
  {
    name: 'whiteout-of-no-name',
    title: 'a whiteout that names nothing is an error, and its directory is not removed',
    seen: 'umoci: the empty whiteout name',
    bytes: () => rawTar(good, { name: 'd/.wh.' }),
    entry: 'd/.wh.',
  },
  {
    name: 'whiteout-of-dot',
    title: 'a whiteout of the name . is an error, and its directory is not removed',
    bytes: () => rawTar(good, { name: 'd/.wh..' }),
    entry: 'd/.wh..',
  },
]

export const damages: readonly CaseBody[] = all.map(damage)
