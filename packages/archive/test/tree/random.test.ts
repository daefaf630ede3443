import { execFileSync } from 'node:child_process'
import { lstatSync, mkdirSync, rmSync } from 'node:fs'
import { llistxattr, lremovexattr } from '@graphdriver/sys'
import { compareTrees, need, temporaryDirectory } from '@tooling/lab'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { changesBetween } from '../../src/tree/changes.ts'
import { copyTree } from '../../src/tree/copy.ts'
import { exportChanges, packTree } from '../../src/tree/pack.ts'
import { treeSize } from '../../src/tree/size.ts'
import { parse } from '../tar/parsed.ts'
import { deeds, perform } from './random-tree.ts'
import { latin1Path, never } from './sample.ts'

const missing = need({ root: true, command: 'tar' })
const rootIsNotCarried = (['mtime', 'mode', 'owner', 'xattrs'] as const).map((aspect) => ({
  reason: 'the root is not in a layer',
  aspect,
  path: /^\/$/,
}))

function collect(write: (sink: (chunk: Uint8Array) => void) => void): Buffer {
  const chunks: Buffer[] = []
  write((chunk) => chunks.push(Buffer.from(chunk)))
  return Buffer.concat(chunks)
}

function extract(tar: Buffer, root: string): void {
  // Sorted by whole paths, as Docker has it, a directory may be met again after its sibling `a-b`.
  const args = ['--delay-directory-restore', '--exclude=.wh.*', '--xattrs', '--xattrs-include=*', '-xp']
  execFileSync('tar', ['-C', root, ...args], { input: tar })
}

/** The layer format in its simplest reading: whiteouts remove, then GNU tar puts the rest in place. */
function applyLayer(tar: Buffer, root: string): void {
  const { entries } = parse(tar)
  for (const { header } of entries) {
    const path = header.name.toString('latin1').replace(/\/$/, '')
    const split = path.lastIndexOf('/') + 1
    const isWhiteout = path.startsWith('.wh.', split)
    const victim = isWhiteout ? path.slice(0, split) + path.slice(split + 4) : path
    const staysDirectory = header.type === 'directory' && isDirectory(root, victim)
    if (staysDirectory) removeXattrs(latin1Path(root, victim))
    else rmSync(latin1Path(root, victim), { recursive: true, force: true })
  }
  extract(tar, root)
}

/** An entry says all attributes that a directory has, not those to add. */
function removeXattrs(directory: Buffer): void {
  for (const name of llistxattr(directory)) lremovexattr(directory, name)
}

function isDirectory(root: string, path: string): boolean {
  return lstatSync(latin1Path(root, path), { throwIfNoEntry: false })?.isDirectory() === true
}

test('any tree survives pack, and copy (needs root, tar)', async ({ skip }) => {
  skip(missing !== undefined, missing)
  await fc.assert(
    fc.asyncProperty(deeds, async (list) => {
      await using scratch = await temporaryDirectory()
      const [tree, packed, copied] = ['tree', 'packed', 'copied'].map((name) => `${scratch.path}/${name}`)
      if (tree === undefined || packed === undefined || copied === undefined) return
      for (const root of [tree, packed, copied]) mkdirSync(root)
      perform(tree, list)
      extract(
        collect((sink) => packTree(tree, sink, { whiteouts: 'none' }, never)),
        packed,
      )
      expect(await compareTrees(tree, packed, { exceptions: rootIsNotCarried })).toEqual([])
      copyTree(tree, copied, { mode: 'content' }, never)
      expect(await compareTrees(tree, copied)).toEqual([])
      expect(changesBetween(copied, tree, never)).toEqual([])
      expect(treeSize(copied, never)).toBe(treeSize(tree, never))
    }),
    { numRuns: 40 },
  )
})

test('base + changes = tree, for any base and any mutation (needs root, tar)', async ({ skip }) => {
  skip(missing !== undefined, missing)
  // Links that share an inode with an unchanged file are copied: the layer has no way to name what it does not hold.
  const exceptions = [...rootIsNotCarried, { reason: 'links into the base', aspect: 'hardlink' as const }]
  await fc.assert(
    fc.asyncProperty(deeds, deeds, async (first, second) => {
      await using scratch = await temporaryDirectory()
      const [base, tree] = [`${scratch.path}/base`, `${scratch.path}/tree`]
      for (const root of [base, tree]) mkdirSync(root)
      perform(base, first)
      copyTree(base, tree, { mode: 'content' }, never)
      // A file rewritten in the same size and then given the same time as before is not to be told apart.
      perform(
        tree,
        second.filter(({ kind }) => kind !== 'touch'),
      )
      const layer = collect((sink) => exportChanges(tree, changesBetween(tree, base, never), sink, never))
      applyLayer(layer, base)
      // A directory's time alone is no change.
      execFileSync('find', [base, tree, '-type', 'd', '-exec', 'touch', '-d', '@0', '{}', '+'])
      expect(await compareTrees(tree, base, { exceptions })).toEqual([])
    }),
    { numRuns: 40 },
  )
})
