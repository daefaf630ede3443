import { expect, test } from 'vitest'
import { rawTar, type RawEntry, readTar, type Tree, type TreeFile } from '../../src/conformance/index.ts'
import { compareLayers } from '../../src/conformance/tar/layer-comparison.ts'

function below(type: TreeFile['type'], mode: number): TreeFile {
  const nothing = { device: undefined, target: undefined, xattrs: {}, firstName: '' }
  return { type, mode, owner: '0:0', mtimeNs: 0n, size: 0n, ...nothing }
}

const base: Tree = new Map([
  ['', below('directory', 0o755)],
  ['d', below('directory', 0o755)],
  ['d/one', below('file', 0o644)],
  ['d/s', below('directory', 0o755)],
  ['d/s/deep', below('file', 0o644)],
])

async function compare(
  expected: readonly RawEntry[],
  found: readonly RawEntry[],
): Promise<readonly string[]> {
  const [left, right] = [await readTar(rawTar(...expected)), await readTar(rawTar(...found))]
  return compareLayers(left, right, { base })
}

const said: Readonly<Record<string, readonly [readonly RawEntry[], readonly RawEntry[]]>> = {
  'names in another form': [
    [{ name: './d/' }, { name: './f' }],
    [{ name: 'd/' }, { name: 'f' }],
  ],
  'a directory that hides, or each name in it': [
    [{ name: 'd/' }, { name: 'd/.wh..wh..opq' }, { name: 'd/s/' }],
    [{ name: 'd/' }, { name: 'd/.wh.one' }, { name: 'd/s/' }, { name: 'd/s/.wh.deep' }],
  ],
  'a directory that was deleted and is there again': [
    [{ name: '.wh.d' }, { name: 'd/' }],
    [{ name: 'd/' }, { name: 'd/.wh.one' }, { name: 'd/.wh.s' }],
  ],
  'one name of an inode or the other first': [
    [
      { name: 'x', data: 'text' },
      { name: 'y', type: '1', link: 'x' },
    ],
    [
      { name: 'y', data: 'text' },
      { name: 'x', type: '1', link: 'y' },
    ],
  ],
  'a directory as it was, or nothing': [[{ name: 'd/' }, { name: 'd/s/' }], []],
  'whiteouts of any mode and time': [
    [{ name: '.wh.d', mode: 0o600, mtime: '5' }],
    [{ name: '.wh.d', mode: 0 }],
  ],
}

test.each(Object.entries(said))('%s is the same', async (_, [left, right]) => {
  expect(await compare(left, right)).toEqual([])
  expect(await compare(right, left)).toEqual([])
})

const file = { name: 'f', data: 'text', mtime: '5' }

test.each<readonly [string, readonly RawEntry[], readonly RawEntry[], string]>([
  ['a mode', [file], [{ ...file, mode: 0o600 }], '"f": expected file, of 4 bytes'],
  ['a fraction of a second', [file], [{ ...file, mtime: '5.5' }], 'time 5.500000000'],
  ['content', [file], [{ ...file, data: 'Text' }], 'sha256'],
  ['a whiteout', [{ name: 'd/.wh.one' }], [], '"d/one": expected a whiteout, found nothing'],
  [
    'what a directory hides',
    [{ name: 'd/' }, { name: 'd/.wh..wh..opq' }],
    [{ name: 'd/' }, { name: 'd/.wh.one' }],
    '"d/s": expected a whiteout',
  ],
  ['a directory that was changed', [{ name: 'd/', mode: 0o700 }], [], '"d": expected directory, mode 0700'],
  ['a new directory', [], [{ name: 'new/' }], '"new": expected nothing, found directory'],
  [
    'a link',
    [file, { name: 'g', type: '1', link: 'f' }],
    [file, { ...file, name: 'g' }],
    '"g": expected another name of "f"',
  ],
  [
    'a device',
    [{ name: 'n', type: '3', device: [1, 3] }],
    [{ name: 'n', type: '3', device: [1, 5] }],
    'device 1:3',
  ],
  ['a target', [{ name: 'l', type: '2', link: 'a' }], [{ name: 'l', type: '2', link: 'b' }], 'to "a"'],
])('%s is a difference', async (_, left, right, line) => {
  const differences = await compare(left, right)
  expect(differences).toHaveLength(1)
  expect(differences[0]).toContain(line)
})
