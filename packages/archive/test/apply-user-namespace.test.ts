import { spawnSync } from 'node:child_process'
import { chmodSync, lstatSync } from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'
import { lgetxattr } from '@graphdriver/sys'
import { describe, expect, it } from 'vitest'
import type { WhiteoutMode } from '../src/index.ts'
import type { RawEntry } from '@graphdriver/core/conformance'
import { isRoot, listTree, scratch } from './support/scratch.ts'

const unshare = ['--user', '--map-root-user', '--mount']
const able = isRoot && spawnSync('unshare', [...unshare, 'true']).status === 0
const here = (file: string): string =>
  JSON.stringify(pathToFileURL(path.resolve(import.meta.dirname, file)).href)

/** Applies as the only user of a new user namespace. @returns the result, or the error's own fields */
function applyMapped(root: string, whiteouts: WhiteoutMode, entries: readonly RawEntry[]): unknown {
  const script = `
    import { TreeWorkers } from ${here('../src/index.ts')}
    import { inChunks, rawTar } from '@graphdriver/core/conformance'
    await using workers = new TreeWorkers()
    const [root, whiteouts, entries] = JSON.parse(process.argv[1])
    const told = await workers.apply(root, inChunks(rawTar(...entries)), { whiteouts }).catch(
      ({ code, details, message }) => ({ code, details, message }),
    )
    console.log(JSON.stringify(told))`
  const args = [...unshare, process.execPath, '--input-type=module-typescript', '-e', script]
  const child = spawnSync('unshare', [...args, JSON.stringify([root, whiteouts, entries])], {
    encoding: 'utf8',
  })
  if (child.status !== 0) throw new Error(child.stderr)
  return JSON.parse(child.stdout)
}

describe.skipIf(!able)('apply in a user namespace (needs root and unshare)', () => {
  it('leaves devices out and counts them, and makes whiteouts, fifos and user attributes', async () => {
    await using dir = await scratch()
    chmodSync(dir.path, 0o755)
    const root = dir.directory('root')
    const entries: readonly RawEntry[] = [
      { name: 'd/', mode: 0o700 },
      { name: 'd/null', type: '3', device: [1, 3] },
      { name: 'd/loop', type: '4', device: [7, 0] },
      { name: 'd/fifo', type: '6' },
      { name: 'd/.wh.gone', uid: 1000, gid: 1000 },
      { name: 'o/.wh..wh..opq' },
      { name: 'f', data: 'x', mode: 0o4755, pax: { 'SCHILY.xattr.trusted.x': 'not allowed here' } },
    ]
    const result = applyMapped(root, { format: 'overlay', xattr: 'user' }, entries)
    expect(result).toMatchObject({ entries: 7, skippedDevices: 2 })
    expect(listTree(root)).toEqual(['d/', 'd/fifo', 'd/gone', 'f', 'o/'])
    expect(lstatSync(path.join(root, 'd/gone')).isCharacterDevice()).toBe(true)
    expect(lstatSync(path.join(root, 'f')).mode & 0o7777).toBe(0o4755)
    expect(lgetxattr(path.join(root, 'o'), 'user.overlay.opaque')?.toString()).toBe('y')
  })

  it('names the entry, its owner and the remedy when an id is not mapped', async () => {
    await using dir = await scratch()
    const root = dir.directory('root')
    const told = applyMapped(root, 'remove', [{ name: 'd/f', uid: 1000, gid: 5 }])
    expect(told).toMatchObject({
      code: 'GD_ARCHIVE_UNSUPPORTED',
      details: { entry: 'd/f', reason: expect.stringMatching(/1000:5.*\/etc\/subuid/) },
    })
  })
})
