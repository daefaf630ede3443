/**
 * Virtual disks in Windows' format, partitioned as Windows does it: QEMU's storage daemon serves the partition as a file,
 * which a kernel without nbd can use too.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { command, enterLab, labRoot, ownPrefix, tearDown } from '@graphdriver/core/conformance'
import { execa } from 'execa'
import { filesystemRequirements, mountNtfs } from '../filesystem.ts'
import type { Requirement } from '../requirement.ts'

export const virtualDiskRequirements: readonly Requirement[] = [
  ...filesystemRequirements('ntfs'),
  { command: 'qemu-img' },
  { command: 'qemu-storage-daemon' },
  { command: 'sfdisk' },
]

export interface VirtualDisk extends AsyncDisposable {
  /** The VHDX; nothing has it open unless it is mounted. */
  readonly file: string
  /** Mounts the NTFS on it, whose first mount makes it. */
  mount(): Promise<MountedDisk>
}

export interface MountedDisk extends AsyncDisposable {
  readonly path: string
}

const mebibyte = 1024 * 1024
/** Microsoft's reserved partition, and one for data. */
const partitions = [
  'label: gpt',
  'type=E3C9E316-0B5C-4DB8-817D-F92DF00215AE, size=16M',
  'type=EBD0A0A2-B9E5-4433-87C0-68B6B72699C7',
].join('\n')

export async function virtualDisk(sizeMiB: number): Promise<VirtualDisk> {
  enterLab()
  const directory = await mkdtemp(path.join(labRoot(), ownPrefix()))
  const file = path.join(directory, 'disk.vhdx')
  const target = path.join(directory, 'mount')
  const table = path.join(directory, 'table')
  try {
    await command('qemu-img', ['create', '-q', '-f', 'vhdx', file, `${sizeMiB}M`])
    const data = await partition(file, table)
    let isFormatted = false
    return {
      file,
      async mount() {
        const server = await serve(file, path.join(directory, 'served'), data)
        try {
          if (!isFormatted) await command('mkntfs', ['--quiet', '--fast', '--force', server.path])
          isFormatted = true
          await mountNtfs(server.path, target)
        } catch (error) {
          await server[Symbol.asyncDispose]()
          throw error
        }
        return {
          path: target,
          async [Symbol.asyncDispose]() {
            await command('umount', [target])
            await server[Symbol.asyncDispose]()
          },
        }
      },
      async [Symbol.asyncDispose]() {
        tearDown(directory)
      },
    }
  } catch (error) {
    tearDown(directory)
    throw error
  }
}

interface Extent {
  /** In bytes. */
  readonly offset: number
  readonly size: number
}

/** @returns where the partition for data is */
async function partition(file: string, mountpoint: string): Promise<Extent> {
  await using whole = await serve(file, mountpoint)
  await execa('sfdisk', ['--quiet', '--no-reread', '--no-tell-kernel', whole.path], { input: partitions })
  const told: unknown = JSON.parse(await command('sfdisk', ['--json', whole.path]))
  const { partitiontable } = told as {
    readonly partitiontable: {
      readonly sectorsize: number
      readonly partitions: readonly { readonly start: number; readonly size: number }[]
    }
  }
  const data = partitiontable.partitions[1]
  if (data === undefined) throw new Error(`${file} has no second partition`)
  return { offset: data.start * partitiontable.sectorsize, size: data.size * partitiontable.sectorsize }
}

/** Shows what is in a virtual disk, or in a part of it, as a file. */
async function serve(file: string, mountpoint: string, extent?: Extent): Promise<MountedDisk> {
  await writeFile(mountpoint, '')
  const nodes = [
    `driver=file,node-name=file,filename=${file}`,
    'driver=vhdx,node-name=whole,file=file',
    ...(extent === undefined
      ? []
      : [`driver=raw,node-name=part,file=whole,offset=${extent.offset},size=${extent.size}`]),
  ]
  const shown = extent === undefined ? 'whole' : 'part'
  const server = spawn(
    'qemu-storage-daemon',
    [
      ...nodes.flatMap((node) => ['--blockdev', node]),
      '--export',
      `type=fuse,id=export,node-name=${shown},mountpoint=${mountpoint},writable=on`,
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  await untilServed(server, mountpoint)
  return {
    path: mountpoint,
    async [Symbol.asyncDispose]() {
      const ended = once(server, 'exit')
      server.kill('SIGTERM')
      await ended
    },
  }
}

async function untilServed(server: ChildProcess, mountpoint: string): Promise<void> {
  for (;;) {
    if (server.exitCode !== null) throw new Error(`qemu-storage-daemon ended with ${server.exitCode}`)
    const { size } = await stat(mountpoint)
    if (size >= mebibyte) return
    await setTimeout(20)
  }
}
