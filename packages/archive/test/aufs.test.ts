/** A directory in the format of overlayfs, turned into AUFS's and back: marks change, and nothing else. */
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { AT_FDCWD, lgetxattr, lsetxattr, mknodat, S } from '@graphdriver/sys'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { TreeWorkers } from '../src/index.ts'

const skipped = process.geteuid?.() === 0 ? undefined : 'needs root'
const workers = new TreeWorkers()
let place = ''

beforeAll(() => {
  place = mkdtempSync(path.join(tmpdir(), 'gd-aufs-'))
})
afterAll(async () => {
  await workers[Symbol.asyncDispose]()
  rmSync(place, { recursive: true, force: true })
})

type Node =
  | { readonly kind: 'file' | 'gone' }
  | {
      readonly kind: 'directory'
      readonly opaque: boolean
      readonly children: Readonly<Record<string, Node>>
    }

const names = fc.constantFrom('a', 'b', '.c', '-', 'wh', '.wh', 'long'.repeat(60), 'x'.repeat(255), 'ü')
const { node } = fc.letrec<{ node: Node }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small' },
    fc.record({ kind: fc.constantFrom('file' as const, 'gone' as const) }),
    fc.record({
      kind: fc.constant('directory' as const),
      opaque: fc.boolean(),
      children: fc.dictionary(names, tie('node'), { maxKeys: 5 }),
    }),
  ),
}))

function build(file: string, made: Node): void {
  if (made.kind === 'file') writeFileSync(file, file)
  if (made.kind === 'gone') mknodat(AT_FDCWD, file, S.IFCHR, 0n)
  if ('children' in made) {
    mkdirSync(file)
    for (const [name, child] of Object.entries(made.children)) build(path.join(file, name), child)
    if (made.opaque) lsetxattr(file, 'trusted.overlay.opaque', Buffer.from('y'))
    chmodSync(file, 0o750)
    utimesSync(file, 1000, 2000.5)
  }
}

function describeTree(root: string): readonly string[] {
  return ['', ...readdirSync(root, { recursive: true, encoding: 'utf8' })]
    .map((name) => {
      const file = path.join(root, name)
      const stat = lstatSync(file)
      const opaque = stat.isDirectory() && lgetxattr(file, 'trusted.overlay.opaque') !== undefined
      const times = stat.isDirectory() ? stat.mtimeMs : ''
      return `${name} ${stat.mode.toString(8)} ${times} ${opaque}`
    })
    .toSorted()
}

describe.skipIf(skipped !== undefined)(`formats (${skipped ?? 'as root'})`, () => {
  test('there and back again, every directory is as it was, times included', async () => {
    let count = 0
    await fc.assert(
      fc.asyncProperty(fc.dictionary(names, node, { maxKeys: 6 }), async (children) => {
        const tree = path.join(place, String(count++))
        build(tree, { kind: 'directory', opaque: false, children })
        const before = describeTree(tree)
        await workers.convert({ to: 'aufs', tree, xattr: 'trusted' })
        const inAufs = describeTree(tree)
        expect(inAufs.filter((line) => line.endsWith(' true'))).toEqual([])
        const devices = inAufs.filter((line) => line.split(' ').at(-3)?.startsWith('20') === true)
        // A marker for these would have a name that is too long.
        expect(
          devices.every((line) => Buffer.byteLength(path.basename(line.split(' ')[0] ?? '')) > 251),
        ).toBe(true)
        // Twice is once.
        await workers.convert({ to: 'aufs', tree, xattr: 'trusted' })
        expect(describeTree(tree)).toEqual(inAufs)
        await workers.convert({ to: 'overlay', tree, xattr: 'trusted' })
        expect(describeTree(tree)).toEqual(before)
        await workers.convert({ to: 'overlay', tree, xattr: 'trusted' })
        expect(describeTree(tree)).toEqual(before)
      }),
      { numRuns: 60 },
    )
  })

  test('a file beside its own whiteout is one that nobody sees', async () => {
    const tree = path.join(place, 'beside')
    mkdirSync(path.join(tree, 'd'), { recursive: true })
    for (const name of ['f', '.wh.f', '.wh.d', '.wh..wh.aufs', 'd/g', '.wh.', '.wh...'])
      writeFileSync(path.join(tree, name), '')
    await workers.convert({ to: 'overlay', tree, xattr: 'trusted' })
    expect(readdirSync(tree).toSorted()).toEqual(['d', 'f'])
    expect(lstatSync(path.join(tree, 'f')).isCharacterDevice()).toBe(true)
    expect(lstatSync(path.join(tree, 'd')).isCharacterDevice()).toBe(true)
  })
})
