/** Files get the group that their entry says, whatever their directory would give them. */
import { chownSync, chmodSync, mkdirSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { inChunks, rawTar } from '@graphdriver/core/conformance'
import { afterAll, describe, expect, it } from 'vitest'
import { TreeWorkers } from '../src/index.ts'
import { inMemory, isRoot } from './support/scratch.ts'

const workers = new TreeWorkers({ threads: 1 })
afterAll(() => workers[Symbol.asyncDispose]())

const many = 1500

function groupsIn(directory: string): readonly number[] {
  const groups = readdirSync(directory).map((name) => statSync(path.join(directory, name)).gid)
  return [...new Set(groups)]
}

describe.skipIf(!isRoot)('owners of what is new (needs root)', () => {
  it('in directories that give their group to all, in one thread and in two', async () => {
    await using dir = await inMemory()
    const root = dir.directory('root')
    const files = (place: string, gid: number): { name: string; gid: number; data: string }[] =>
      Array.from({ length: many }, (_, index) => ({ name: `${place}f${index}`, gid, data: 'x' }))
    const tar = rawTar(
      { name: 'plain/' },
      { name: 'staff/', mode: 0o2775, gid: 50 },
      ...files('plain/', 0),
      ...files('staff/', 0),
      { name: 'plain/', gid: 7, mode: 0o2755 },
      ...files('plain/g', 0),
      { name: 'staff/inside/', mode: 0o755, gid: 0 },
      ...files('staff/inside/', 0),
      { name: 'implied/below/x', data: 'x' },
    )
    await workers.apply(root, inChunks(tar, 64 * 1024), { whiteouts: 'remove' })
    for (const place of ['plain', 'staff', 'staff/inside', 'implied/below'])
      expect([place, groupsIn(path.join(root, place))]).toEqual([place, [0]])
  })

  it('in a root that gives its group to all', async () => {
    await using dir = await inMemory()
    const [applied, copied] = [dir.directory('applied'), dir.directory('copied')]
    for (const root of [applied, copied]) {
      chownSync(root, 0, 33)
      chmodSync(root, 0o2755)
    }
    await workers.apply(
      applied,
      inChunks(rawTar({ name: 'f', data: 'x' }, { name: 'd/' }, { name: 'd/f' })),
      {
        whiteouts: 'remove',
      },
    )
    const source = dir.directory('source')
    mkdirSync(path.join(source, 'd'))
    for (const name of ['f', 'd/f']) writeFileSync(path.join(source, name), 'x')
    await workers.copy(source, copied)
    for (const root of [applied, copied])
      expect([groupsIn(root), groupsIn(path.join(root, 'd'))]).toEqual([[0], [0]])
  })

  it('in a copy into a directory that is there already', async () => {
    await using dir = await inMemory()
    const [source, target] = [dir.directory('source'), dir.directory('target')]
    mkdirSync(path.join(source, 'd'))
    mkdirSync(path.join(target, 'd'))
    chownSync(path.join(target, 'd'), 0, 33)
    chmodSync(path.join(target, 'd'), 0o2755)
    for (const name of ['d/a', 'z']) writeFileSync(path.join(source, name), 'x')
    await workers.copy(source, target)
    expect([groupsIn(target), groupsIn(path.join(target, 'd'))]).toEqual([[0], [0]])
  })
})
