import { linkSync, mkdirSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs'
import { temporaryDirectory } from '@tooling/lab'
import { expect, test } from 'vitest'
import { toTreeChange } from '../../src/tree/change.ts'
import { changesSize, diffSize, treeSize } from '../../src/tree/size.ts'
import { copyWithCp, latin1Path, never } from './sample.ts'

test('sizes count each inode once, symlinks by their target, directories not', async () => {
  await using scratch = await temporaryDirectory()
  mkdirSync(`${scratch.path}/d`)
  writeFileSync(`${scratch.path}/d/a`, '1234')
  for (let i = 0; i < 100; i++) linkSync(`${scratch.path}/d/a`, `${scratch.path}/link${i}`)
  symlinkSync('seven77', `${scratch.path}/symlink`)
  truncateSync(`${scratch.path}/d/a`, 1_000_000)
  expect(treeSize(scratch.path, never)).toBe(1_000_007)
})

test('of changes only what was added and modified counts, hard links once', async () => {
  await using scratch = await temporaryDirectory()
  for (const name of ['a', 'b', 'untouched']) writeFileSync(`${scratch.path}/${name}`, '123')
  linkSync(`${scratch.path}/a`, `${scratch.path}/c`)
  const changes = [
    { path: '/a', kind: 'add' },
    { path: '/b', kind: 'modify' },
    { path: '/c', kind: 'add' },
    { path: '/gone', kind: 'modify' },
    { path: '/untouched', kind: 'delete' },
  ] as const
  expect(changesSize(scratch.path, changes.map(toTreeChange), never)).toBe(6)
  expect(changesSize(scratch.path, [], never)).toBe(0)
})

test('the size of a difference counts names that are not UTF-8 too', async () => {
  await using scratch = await temporaryDirectory()
  const [base, tree] = [`${scratch.path}/base`, `${scratch.path}/tree`]
  mkdirSync(base)
  writeFileSync(`${base}/same`, 'same')
  writeFileSync(`${base}/gone`, 'gone')
  copyWithCp(base, tree)
  writeFileSync(latin1Path(tree, '\xff'), '12345')
  rmSync(`${tree}/gone`)
  expect(diffSize(tree, base, never)).toBe(5)
  expect(diffSize(tree, undefined, never)).toBe(9)
})
