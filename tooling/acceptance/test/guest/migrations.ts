/**
 * In a guest, with ZFS on /dev/ubdb and btrfs on /dev/ubdc: `node migrations.ts` moves a root from every driver that Linux has to
 * every other. Those that want a filesystem of their own have it mounted where they keep their layers.
 */
import { mkdirSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { run } from '@graphdriver/sys'
import { type Hop, migrateEverywhere } from '../../src/migrations.ts'

const root = path.join(mkdtempSync(`${tmpdir()}/moved-`), 'root')
const scratch = mkdtempSync(`${tmpdir()}/scratch-`)
for (const name of ['zfs', 'btrfs']) mkdirSync(path.join(root, name), { recursive: true })
await run('zpool', ['create', '-O', 'mountpoint=none', '-O', 'xattr=sa', 'moved', '/dev/ubdb'])
await run('zfs', ['create', '-o', `mountpoint=${root}/zfs`, 'moved/root'])
await run('mkfs.btrfs', ['-q', '/dev/ubdc'])
await run('mount', ['/dev/ubdc', path.join(root, 'btrfs')])
const drivers = ['vfs', 'overlay2', 'overlay', 'btrfs', 'zfs', 'devicemapper', 'aufs']
const tell = ({ from, to }: Hop): void => console.log(`${from} -> ${to}`)
// Like Docker's, it takes the dataset of the data root where none is named.
const options = { zfs: ['--driver-option', 'zfs.fsname=moved/root'] }
await migrateEverywhere(root, scratch, drivers, tell, options)
