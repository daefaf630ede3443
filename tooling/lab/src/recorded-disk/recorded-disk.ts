/** A disk that remembers in which order it was written, and what was flushed when: what a power cut would leave can be made. */
import { closeSync, openSync, statSync, writeSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { attachedBelow, command, soon } from '@graphdriver/core/conformance'
import { isMountPoint } from '@graphdriver/sys'
import { execa } from 'execa'
import { type FilesystemKind, filesystem, filesystemRequirements, formatImage } from '../filesystem.ts'
import type { Requirement } from '../requirement.ts'
import { type Epoch, type LoggedWrite, readEpochs } from './log.ts'

export type RecordedKind = Extract<FilesystemKind, 'ext4' | 'xfs' | 'btrfs'>

export function recordedDiskRequirements(kind: RecordedKind): readonly Requirement[] {
  return [
    ...filesystemRequirements(kind),
    { root: true, kernelFilesystem: 'fuse' },
    checkers[kind].requirement,
  ]
}

export interface RecordedDisk extends AsyncDisposable {
  readonly kind: RecordedKind
  /** Where its filesystem is mounted. */
  readonly path: string
  /** How much has been written to the disk so far, as a place in its log. */
  position(): number
  /** Ends the recording; the disk is no longer mounted. What was not flushed until now is not in the log. */
  stop(): Promise<Recording>
}

export interface Recording {
  readonly kind: RecordedKind
  /** From the first moment on; each ends with a flush. */
  readonly epochs: readonly Epoch[]
  /** The disk at the beginning of an epoch. Only forward: an earlier one than the last is not to be had. */
  before(epoch: number): Promise<string>
  /** Some of the writes of that epoch on top of `before`, in another file, whose path is returned. */
  with(writes: readonly LoggedWrite[]): Promise<string>
  /** Mounts such a file. */
  mount(image: string): Promise<MountedImage>
  /** Lets the filesystem's own program look at one that nothing has mounted. @throws what it says */
  check(image: string): Promise<void>
}

export interface MountedImage extends AsyncDisposable {
  readonly path: string
}

/** Bytes are cheap: only what is written is there. */
const sizeMiB = 512

const checkers: Readonly<
  Record<RecordedKind, { readonly requirement: Requirement; readonly command: readonly string[] }>
> = {
  ext4: { requirement: { command: 'e2fsck', package: 'e2fsprogs' }, command: ['e2fsck', '-f', '-n'] },
  xfs: { requirement: { command: 'xfs_repair', package: 'xfsprogs' }, command: ['xfs_repair', '-n'] },
  btrfs: {
    requirement: { command: 'btrfs', package: 'btrfs-progs' },
    command: ['btrfs', 'check', '--readonly'],
  },
}

const server = fileURLToPath(new URL('./server.ts', import.meta.url))

/** @param fill what is on it before it is recorded */
export async function recordedDisk(
  kind: RecordedKind,
  fill: (root: string) => Promise<void>,
): Promise<RecordedDisk> {
  const memory = await filesystem('tmpfs', { sizeMiB: 4 * sizeMiB })
  const at = (name: string): string => path.join(memory.path, name)
  for (const name of ['served', 'disk', 'trial']) await mkdir(at(name))
  await formatImage(kind, at('image'), { sizeMiB })
  await mountLoop(at('image'), at('disk'))
  try {
    await fill(at('disk'))
  } finally {
    await unmount(at('disk'))
  }
  await command('cp', ['--sparse=always', at('image'), at('begin')])
  const serving = execa(process.execPath, [server, at('image'), at('served'), at('log')], { reject: false })
  let running = true
  void serving.then(() => {
    running = false
  })
  const end = async (): Promise<void> => {
    for (const name of ['trial', 'disk', 'served']) if (isMountPoint(at(name))) await unmount(at(name))
    await serving
  }
  try {
    while (running && !isMountPoint(at('served'))) await setTimeout(10)
    if (!running) throw new Error(`the server of the disk did not start: ${(await serving).stderr}`)
    await mountLoop(at('served/disk'), at('disk'))
  } catch (error) {
    await end()
    await memory[Symbol.asyncDispose]()
    throw error
  }
  return {
    kind,
    path: at('disk'),
    position: () => statSync(at('log')).size,
    async stop() {
      // The end of the recording is not an event on the disk.
      const length = statSync(at('log')).size
      await end()
      const { stderr } = await serving
      if (stderr !== '') throw new Error(`the server of the disk: ${stderr}`)
      const epochs = readEpochs(at('log')).filter(({ end: place }) => place <= length)
      return recordingOf(kind, epochs, at)
    },
    async [Symbol.asyncDispose]() {
      await end()
      await memory[Symbol.asyncDispose]()
    },
  }
}

function recordingOf(kind: RecordedKind, epochs: readonly Epoch[], at: (name: string) => string): Recording {
  let applied = 0
  return {
    kind,
    epochs,
    async before(epoch) {
      if (epoch < applied) throw new Error(`epoch ${epoch} is past`)
      put(
        at('begin'),
        epochs.slice(applied, epoch).flatMap(({ writes }) => writes),
      )
      applied = epoch
      return at('begin')
    },
    async with(writes) {
      await command('cp', ['--sparse=always', at('begin'), at('cut')])
      put(at('cut'), writes)
      return at('cut')
    },
    async mount(image) {
      await mountLoop(image, at('trial'))
      return {
        path: at('trial'),
        [Symbol.asyncDispose]: async () => {
          await unmount(at('trial'))
        },
      }
    },
    async check(image) {
      const [program = '', ...options] = checkers[kind].command
      await command(program, [...options, image])
    },
  }
}

function put(image: string, writes: readonly LoggedWrite[]): void {
  const fd = openSync(image, 'r+')
  try {
    for (const { offset, data } of writes) writeSync(fd, data, 0, data.length, offset)
  } finally {
    closeSync(fd)
  }
}

async function mountLoop(image: string, target: string): Promise<void> {
  await command('mount', ['--make-private', '--options', 'loop', image, target])
}

/** A loop device lets go of its file a moment after it was unmounted; then what the file is on can be unmounted. */
async function unmount(target: string): Promise<void> {
  await command('umount', [target])
  await soon(() => {
    const [still] = attachedBelow(path.dirname(target))
    if (still !== undefined) throw new Error(`${still.join(' is still attached to ')}`)
  })
}
