import { execFileSync } from 'node:child_process'
import { readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isGraphDriverError } from '@graphdriver/core'
import { isSystemError, mount, umount } from '@graphdriver/sys'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { applyTar } from '../src/apply/apply.ts'
import { TreeWorkers, type WhiteoutMode } from '../src/index.ts'
import { inChunks, type RawEntry, rawTar } from '@graphdriver/core/conformance'
import { isRoot, listTree, openDescriptors, scratch } from './support/scratch.ts'

const workers = new TreeWorkers({ threads: 1 })
afterAll(() => workers[Symbol.asyncDispose]())

const modes: readonly WhiteoutMode[] = ['remove', 'keep', { format: 'overlay', xattr: 'trusted' }]

/** Something of every kind. */
const entries: readonly RawEntry[] = [
  { name: './' },
  { name: 'd/', mtime: '1.5' },
  { name: 'd/file', data: 'x'.repeat(1500) },
  { name: `d/${'n'.repeat(150)}`, data: 'long name' },
  { name: 'd/.wh.gone' },
  { name: 'd/.wh..wh..opq' },
  { name: 'l', type: '2', link: '/d' },
  { name: 'l/through', data: 'y' },
  { name: 'h', type: '1', link: 'd/file' },
  { name: '.wh..wh.plnk/1.2', data: 'aufs' },
  { name: 'a', type: '1', link: '.wh..wh.plnk/1.2' },
  { name: 'f', type: '6' },
]

/** Applies on this thread. @returns what was thrown */
function attempt(root: string, bytes: Buffer, whiteouts: WhiteoutMode): unknown {
  try {
    applyTar(
      { root, whiteouts },
      (take) => take(bytes),
      () => undefined,
    )
    return undefined
  } catch (error) {
    return error
  }
}

describe.skipIf(!isRoot)('damaged archives (need root)', () => {
  it('fails or succeeds when cut anywhere, touches nothing outside and leaves nothing open', async () => {
    await using dir = await scratch()
    writeFileSync(path.join(dir.path, 'neighbour'), '')
    const whole = rawTar(...entries)
    const open = await openDescriptors()
    let failures = 0
    for (let length = 0; length <= whole.length; length += 256) {
      const error = attempt(
        dir.directory(`root-${length}`),
        whole.subarray(0, length),
        modes[length % 3] ?? 'keep',
      )
      if (error === undefined) continue
      failures++
      expect(error).toMatchObject({ name: 'GraphDriverError', code: 'GD_ARCHIVE_INVALID' })
    }
    expect(failures).toBeGreaterThan(whole.length / 512 / 3)
    expect(await openDescriptors()).toBe(open)
    expect(listTree(dir.path).filter((name) => !name.startsWith('root-'))).toEqual(['neighbour'])
    expect(listTree(dir.path).filter((name) => name.includes('.graphdriver-links'))).toEqual([])
  })

  it('names the entry that an archive is cut in', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const cut = rawTar({ name: 'first' }, { name: 'big', data: 'x'.repeat(5000) }).subarray(0, 2048)
    await expect(workers.apply(root, inChunks(cut), { whiteouts: 'remove' })).rejects.toMatchObject({
      code: 'GD_ARCHIVE_INVALID',
      details: { entry: 'big' },
    })
  })

  it('gives a typed error or succeeds whatever bytes are flipped', async () => {
    await using dir = await scratch()
    const whole = rawTar(...entries)
    const open = await openDescriptors()
    let run = 0
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 })), {
          minLength: 1,
          maxLength: 4,
        }),
        fc.constantFrom(...modes),
        (flips, mode) => {
          const bytes = Buffer.from(whole)
          for (const [at, mask] of flips) bytes[at] = (bytes[at] ?? 0) ^ mask
          const error = attempt(dir.directory(`root-${run++}`), bytes, mode)
          return error === undefined || isGraphDriverError(error) || isSystemError(error)
        },
      ),
      { numRuns: 300 },
    )
    expect(await openDescriptors()).toBe(open)
    expect(readdirSync(dir.path).filter((name) => !name.startsWith('root-'))).toEqual([])
  })

  it('passes on a full disk as ENOSPC with the path, and the thread works on', async () => {
    await using dir = await scratch()
    const small = dir.directory('small')
    mount({ source: 'gd-small', target: small, type: 'tmpfs', data: 'size=1m' })
    try {
      const tar = rawTar(
        { name: 'd/fits', data: 'x' },
        { name: 'd/too-big', data: Buffer.alloc(3_000_000, 1) },
      )
      await expect(workers.apply(small, inChunks(tar), { whiteouts: 'remove' })).rejects.toMatchObject({
        code: 'ENOSPC',
        syscall: 'write',
        path: path.join(small, 'd/too-big'),
      })
    } finally {
      umount(small)
    }
    const root = dir.directory('root')
    await workers.apply(root, inChunks(rawTar({ name: 'x' })), { whiteouts: 'remove' })
    expect(listTree(root)).toEqual(['x'])
  })

  it('says that a root is missing', async () => {
    await using dir = await scratch()
    const root = path.join(dir.path, 'missing')
    await expect(workers.apply(root, inChunks(rawTar()), { whiteouts: 'remove' })).rejects.toMatchObject({
      code: 'ENOENT',
      path: root,
    })
  })

  it('extracts more directories than it may keep open', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const many = Array.from({ length: 1000 }, (_, index) => ({ name: `d${index}/`, mtime: '7' }))
    const files = Array.from({ length: 1000 }, (_, index) => ({ name: `d${(index * 7) % 1000}/f` }))
    let most = 0
    applyTar(
      { root, whiteouts: 'remove' },
      (take) => take(rawTar(...many, ...files)),
      () => {
        most = Math.max(most, readdirSync('/proc/self/fd').length)
      },
    )
    expect(most).toBeLessThan(200)
    expect(listTree(root)).toHaveLength(2000)
  })

  it('extracts as deep as a path can be', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const depth = 2000
    const deep = 'd/'.repeat(depth)
    expect(
      attempt(root, rawTar({ name: deep }, { name: `${deep}f` }, { name: '.wh.d' }), 'remove'),
    ).toBeUndefined()
    expect(listTree(root)).toEqual([])
  })

  it('takes as much memory for 100 000 files as for a few', () => {
    const script = `
      import { applyTar } from ${JSON.stringify(path.resolve(import.meta.dirname, '../src/apply/apply.ts'))}
      import { entryBlocks } from '@graphdriver/core/conformance'
      import { mkdtempSync, rmSync } from 'node:fs'
      import { tmpdir } from 'node:os'
      const root = mkdtempSync(tmpdir() + '/gd-archive-many-')
      let before = 0
      try {
        applyTar({ root, whiteouts: 'remove' }, (take) => {
          for (let index = 0; index < 100_000; index++) {
            take(entryBlocks({ name: 'd' + (index % 10) + '/file-' + index }))
            if (index !== 20_000) continue
            globalThis.gc()
            before = process.memoryUsage().heapUsed
          }
          globalThis.gc()
          console.log(process.memoryUsage().heapUsed - before)
          take(Buffer.alloc(1024))
        }, () => undefined)
      } finally {
        rmSync(root, { recursive: true })
      }`
    const args = ['--expose-gc', '--input-type=module-typescript', '-e', script]
    const grown = Number(execFileSync(process.execPath, args, { encoding: 'utf8' }))
    expect(grown).toBeLessThan(2_000_000)
  })
})
