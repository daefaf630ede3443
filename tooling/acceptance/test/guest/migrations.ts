/** In a guest, on a pool of ZFS: `node migrations.ts` moves a root between the drivers that no other kernel here has. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { run } from '@graphdriver/sys'
import { migrateEverywhere } from '../../src/migrations.ts'

const root = '/mnt/moved'
await run('zpool', ['create', '-O', 'mountpoint=none', '-O', 'xattr=sa', 'moved', '/dev/ubdb'])
await run('zfs', ['create', '-o', `mountpoint=${root}`, 'moved/root'])
const scratch = mkdtempSync(`${tmpdir()}/scratch-`)
await migrateEverywhere(root, scratch, ['vfs', 'zfs', 'devicemapper', 'aufs'], ({ from, to }) => {
  console.log(`${from} -> ${to}`)
})
