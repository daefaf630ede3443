import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { expect, it } from 'vitest'
import { detach, fileHolders, makedev, mount, type MountEntry, mountHolders, umount } from '../src/index.ts'
import { isRoot, scratch } from './scratch.ts'

function mounted(target: string): bigint {
  mount({ source: 'held', target, type: 'tmpfs' })
  return statSync(target, { bigint: true }).dev
}

it.skipIf(!isRoot)(
  'whoever has a file open is told, when it is mounted nowhere any more too (needs root)',
  () => {
    using directory = scratch()
    const dev = mounted(directory.path)
    const file = path.join(directory.path, 'file')
    writeFileSync(file, '')
    expect(fileHolders(dev)).toEqual([])
    const fd = openSync(file, 'r')
    detach(directory.path)
    expect(fileHolders(dev)).toEqual([expect.stringMatching(new RegExp(`^pid ${process.pid} \\(.+\\)$`))])
    closeSync(fd)
    expect(fileHolders(dev)).toEqual([])
  },
)

it.skipIf(!isRoot)('whoever has it mounted is told, once for each mount namespace (needs root)', async () => {
  using directory = scratch()
  const dev = mounted(directory.path)
  // When it has gone, another filesystem may get its number.
  const isHeld = ({ major, minor, target }: MountEntry): boolean =>
    makedev(major, minor) === dev && target === directory.path
  const holder = spawn('unshare', ['--mount', 'sh', '-c', 'sleep 600 & echo ready; read _; kill $!'])
  await once(holder.stdout, 'data')
  umount(directory.path)
  const holders = mountHolders(isHeld)
  holder.stdin.end('\n')
  await once(holder, 'close')
  expect(holders).toEqual([expect.stringMatching(/^pid \d+ \((?:sh|sleep)\)$/)])
  expect(mountHolders(isHeld)).toEqual([])
})
