/** That a process may be killed anywhere between the two formats of a layer, and nothing of it is lost. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { isStackMounted } from '@graphdriver/sys/overlayfs'
import { killAtEachCall, killRequirement, need } from '@tooling/lab'
import { describe, expect, test } from 'vitest'
import { homeOf, id, makeLayer, missing, openAt, openOn } from './open.ts'

const skipped = missing('ext4') ?? need(killRequirement)
const victim = fileURLToPath(new URL('crash-victim.ts', import.meta.url))

/** Those of Node and of mounting, on the main thread. */
const mainCalls = ['mkdir', 'rmdir', 'rename', 'unlink', 'mount', 'umount2', 'openat2']
/** Those of the thread that exchanges the marks. What is between two is between any two of them, unlinkat(2) included. */
const markCalls = ['mknodat', 'renameat2', 'fsetxattr', 'fremovexattr', 'utimensat', 'fchownat']

/** Names and contents; what a name that AUFS reserves contains is only seen while the layer is mounted. */
function treeOf(directory: string): Readonly<Record<string, string>> {
  const names = readdirSync(directory, { recursive: true, withFileTypes: true })
  return Object.fromEntries(
    names
      .map((entry) => [path.relative(directory, path.join(entry.parentPath, entry.name)), entry] as const)
      .map(([name, entry]) => [
        name,
        entry.isFile()
          ? readFileSync(path.join(directory, name), 'utf8')
          : entry.isDirectory()
            ? 'directory'
            : 'special',
      ])
      .toSorted(([a = ''], [b = '']) => (a < b ? -1 : 1)),
  )
}

const before = {
  '.wh.b': 'my own',
  b: 'b',
  d: 'directory',
  'd/.wh.y': 'my own',
  'd/new': 'new',
  'd/y': 'd/y',
  gone2: 'gone2',
  opaque: 'directory',
  'opaque/new': 'new',
}
const { b: _b, 'd/y': _y, ...rest } = before
const after = { ...rest, a: 'made again', gone: 'directory' }
const atRest = {
  '.wh.a': '',
  '.wh.gone': '',
  d: 'directory',
  'd/.wh.x': '',
  'd/new': 'new',
  opaque: 'directory',
  'opaque/.wh..wh..opq': '',
  'opaque/new': 'new',
}
const { '.wh.a': _a, '.wh.gone': _gone, ...restAtRest } = atRest
const changedAtRest = {
  ...restAtRest,
  '.wh.b': '',
  a: 'made again',
  'd/.wh.y': '',
  gone: 'directory',
  'gone/.wh..wh..opq': '',
}

const sorted = (tree: Readonly<Record<string, string>>): unknown =>
  Object.entries(tree).toSorted(([a], [b]) => (a < b ? -1 : 1))

describe.skipIf(skipped !== undefined)(`a killed process (${skipped ?? 'as root'})`, () => {
  test.each([
    ['of the process', '', mainCalls, 8, 0],
    ['of the marks', 'change', markCalls, 25, 5],
  ] as const)(
    'leaves a layer that is whole, at rest and mounted, before any step %s',
    async (_steps, change, calls, least, leastChanged) => {
      await using place = await openOn('ext4')
      const { root } = place
      const diff = path.join(homeOf(root), 'diff/layer')
      const make = async (): Promise<void> => {
        await place.driver.remove(id('layer'))
        await makeLayer(place.driver, 'layer', 'base', (tree) => {
          for (const name of ['a', 'd/x', 'gone/f', 'opaque/old']) rmSync(`${tree}/${name}`)
          for (const name of ['gone', 'opaque']) rmSync(`${tree}/${name}`, { recursive: true })
          mkdirSync(`${tree}/opaque`)
          for (const name of ['d/new', 'opaque/new']) writeFileSync(`${tree}/${name}`, 'new')
          for (const name of ['.wh.b', 'd/.wh.y']) writeFileSync(`${tree}/${name}`, 'my own')
        })
      }
      await makeLayer(place.driver, 'base', undefined, (tree) => {
        for (const name of ['d', 'gone', 'opaque']) mkdirSync(`${tree}/${name}`)
        for (const name of ['a', 'b', 'd/x', 'd/y', 'gone/f', 'gone2', 'opaque/old'])
          writeFileSync(`${tree}/${name}`, name)
      })
      await make()
      expect(sorted(treeOf(diff))).toEqual(sorted(atRest))
      let changed = 0
      const killed = await killAtEachCall([victim, root, change], calls, make, async (where) => {
        await using driver = await openAt(root)
        // The dead process' mount counts as one that somebody holds.
        if (isStackMounted(path.join(homeOf(root), 'mnt/layer'))) await driver.put(id('layer'))
        // Read by whatever marks it was left with.
        const changes = await driver.changes(id('layer'), id('base'))
        const kinds = Object.fromEntries(changes.map(({ path: at, kind }) => [at, kind]))
        {
          await using mount = await driver.get(id('layer'))
          const seen = treeOf(mount.path)
          const done = seen['a'] !== undefined
          if (done) changed++
          expect([where, sorted(seen)]).toEqual([where, sorted(done ? after : before)])
          expect({ ...kinds, where }).toMatchObject({
            where,
            '/a': done ? 'modify' : 'delete',
            '/d/x': 'delete',
            '/opaque/old': 'delete',
          })
        }
        const done = treeOf(diff)['a'] !== undefined
        expect([where, sorted(treeOf(diff))]).toEqual([where, sorted(done ? changedAtRest : atRest)])
      })
      expect(killed).toBeGreaterThan(least)
      expect(changed).toBeGreaterThanOrEqual(leastChanged)
    },
    180_000,
  )
})
