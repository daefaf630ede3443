import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import {
  AT_FDCWD,
  attachLoop,
  detachLoop,
  ficlone,
  findCommand,
  findLoopDevices,
  mount,
  O,
  openat,
  run,
  statfs,
  FILESYSTEM_MAGIC,
  umount,
} from '../src/index.ts'
import { descriptor, isRoot, scratch, thrown } from './scratch.ts'

const canLoop = isRoot && existsSync('/dev/loop-control')
const MIB = 1024 * 1024

function image(path: string, size: number): string {
  writeFileSync(path, '')
  truncateSync(path, size)
  return path
}

it.skipIf(!canLoop)('a file is attached, found and detached, once (needs root and loop devices)', () => {
  using directory = scratch()
  const file = image(directory.at('image'), 8 * MIB)
  expect(findLoopDevices(file)).toEqual([])
  using device = attachLoop(file)
  expect(device.path).toMatch(/^\/dev\/loop\d+$/)
  expect(statSync(device.path).isBlockDevice()).toBe(true)
  expect(findLoopDevices(file)).toEqual([device.path])
  using second = attachLoop(Buffer.from(file), { readonly: true, offset: MIB })
  expect(findLoopDevices(Buffer.from(file)).sort()).toEqual([device.path, second.path].sort())
  const sectors = readFileSync(`/sys/block/${second.path.slice(5)}/size`, 'utf8')
  expect(Number(sectors) * 512).toBe(7 * MIB)
  expect(readFileSync(`/sys/block/${second.path.slice(5)}/ro`, 'utf8')).toBe('1\n')
  second.detach()
  second.detach()
  expect(findLoopDevices(file)).toEqual([device.path])
  detachLoop(device.path)
  expect(findLoopDevices(file)).toEqual([])
})

const mkfs = findCommand('mkfs.ext4')

it.skipIf(!canLoop || mkfs === undefined)(
  'a filesystem lives on a loop device until it is unmounted (needs root, loop devices, mkfs.ext4)',
  async () => {
    using directory = scratch()
    const file = image(directory.at('image'), 16 * MIB)
    await run('mkfs.ext4', ['-q', file])
    const target = directory.at('target')
    await run('mkdir', [target])
    const device = attachLoop(file, { autoclear: true })
    mount({ source: device.path, target, type: 'ext4' })
    device.detach()
    expect(findLoopDevices(file)).toEqual([device.path])
    expect(statfs(target).type).toBe(FILESYSTEM_MAGIC.extfs)
    writeFileSync(directory.at('target/file'), 'x')
    umount(target)
    expect(findLoopDevices(file)).toEqual([])
  },
)

const mkfsXfs = findCommand('mkfs.xfs')

it.skipIf(!canLoop || mkfsXfs === undefined)(
  'a file is cloned where the filesystem can (needs root, loop devices, mkfs.xfs)',
  async () => {
    using directory = scratch()
    const file = image(directory.at('image'), 512 * MIB)
    await run('mkfs.xfs', ['-q', file])
    const target = directory.at('target')
    await run('mkdir', [target])
    using device = attachLoop(file)
    mount({ source: device.path, target, type: 'xfs' })
    try {
      writeFileSync(directory.at('target/from'), Buffer.alloc(MIB, 'x'))
      using from = descriptor(openat(AT_FDCWD, directory.at('target/from'), O.RDONLY))
      using to = descriptor(openat(AT_FDCWD, directory.at('target/to'), O.CREAT | O.RDWR))
      ficlone(to.fd, from.fd)
      expect(statSync(directory.at('target/to')).size).toBe(MIB)
      using far = descriptor(openat(AT_FDCWD, directory.at('far'), O.CREAT | O.RDWR))
      expect(thrown(() => ficlone(far.fd, from.fd))).toMatchObject({
        code: expect.stringMatching(/EXDEV|ENOTSUP/),
      })
    } finally {
      umount(target)
    }
  },
)

it('a file that is not there cannot be attached', () => {
  expect(thrown(() => attachLoop('/nowhere/image'))).toMatchObject({ code: 'ENOENT', path: '/nowhere/image' })
  expect(thrown(() => findLoopDevices('/nowhere/image'))).toMatchObject({ code: 'ENOENT' })
})
