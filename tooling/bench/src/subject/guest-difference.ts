/**
 * The same on ZFS, in a guest: `guest-difference.ts COUNT ROUNDS`. The pool is /dev/ubdb; vfs, which compares whole trees,
 * has its layers on it too. Tells both, as `{"zfs":[…],"vfs":[…]}` in milliseconds.
 */
import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { run } from '@graphdriver/sys'
import vfs from '@graphdriver/vfs'
import zfs from '@graphdriver/zfs'
import { smallFiles } from '../works/contents.ts'
import { timesOfChanges } from './changed-image.ts'

const [count = '1000', rounds = '1'] = process.argv.slice(2)
const tar = path.join(tmpdir(), 'layer.tar')
writeFileSync(tar, smallFiles(Number(count), 64))
await run('zpool', ['create', '-O', 'mountpoint=none', '-O', 'xattr=sa', 'bench', '/dev/ubdb'])
const found: Record<string, readonly number[]> = {}
for (const definition of [zfs, vfs]) {
  const root = path.join('/mnt', definition.name)
  await run('zfs', ['create', '-o', `mountpoint=${root}`, `bench/${definition.name}`])
  found[definition.name] = await timesOfChanges(definition, root, tar, Number(rounds))
}
process.stdout.write(`${JSON.stringify(found)}\n`)
