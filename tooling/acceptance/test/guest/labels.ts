/** In a guest with SELinux: `node labels.ts DRIVER` shows that the label of a mount is that of all files in it. */
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type DriverOptions, hostOf, loadDriver } from '@graphdriver/core'
import { run } from '@graphdriver/sys'
import { code, id, makeNamed } from '@tooling/lab/guest-scenario'

const [name = ''] = process.argv.slice(2)
const label = 'system_u:object_r:container_file_t:s0:c1,c2'

const options: Readonly<Record<string, DriverOptions>> = {
  devicemapper: {
    'dm.basesize': '32M',
    'dm.fs': 'ext4',
    'dm.loopdatasize': '256M',
    'dm.loopmetadatasize': '8M',
  },
}

async function freshRoot(): Promise<string> {
  if (name !== 'zfs') return mkdtempSync(path.join(tmpdir(), 'labels-'))
  await run('zpool', ['create', '-O', 'mountpoint=/mnt/labels', '-O', 'xattr=sa', 'labels', '/dev/ubdb'])
  return '/mnt/labels'
}

/** By a process that is confined to these categories. */
function read(file: string, categories: string): Promise<{ readonly stdout: string }> {
  const context = `system_u:system_r:container_t:s0:${categories}`
  return run('sh', ['-c', 'printf %s "$1" >/proc/self/attr/exec; exec cat "$2"', 'sh', context, file])
}

async function labelOf(file: string): Promise<string> {
  return (await run('stat', ['--format=%C', file])).stdout.trim()
}

process.removeAllListeners('warning')
const definition = await loadDriver(name)
const driver = await definition.open(hostOf(definition, { root: await freshRoot(), options: options[name] }))
assert.equal(driver.capabilities.mountLabel, true)
await makeNamed(driver, 'image')
await driver.createReadWrite(id('container'), { parent: id('image'), mountLabel: label })

{
  await using mount = await driver.get(id('container'), { mountLabel: label })
  mkdirSync(path.join(mount.path, 'directory'))
  writeFileSync(path.join(mount.path, 'directory/new'), 'new')
  for (const file of ['.', 'image', 'directory', 'directory/new'])
    assert.equal(await labelOf(path.join(mount.path, file)), label, file)
  assert.equal((await read(path.join(mount.path, 'image'), 'c1,c2')).stdout, 'image')
  assert.equal((await read(path.join(mount.path, 'directory/new'), 'c1,c2')).stdout, 'new')
  await assert.rejects(read(path.join(mount.path, 'image'), 'c3,c4'), /Permission denied/)
  await assert.rejects(read(path.join(mount.path, 'directory/new'), 'c3,c4'), /Permission denied/)
}
{
  await using mount = await driver.get(id('container'))
  assert.notEqual(await labelOf(path.join(mount.path, 'image')), label)
  assert.equal((await read(path.join(mount.path, 'image'), 'c3,c4')).stdout, 'image')
}
await assert.rejects(driver.get(id('container'), { mountLabel: 'a",rw' }), code('GD_INVALID_OPTION'))
for (const layer of ['container', 'image']) await driver.remove(id(layer))
await driver.cleanup()
