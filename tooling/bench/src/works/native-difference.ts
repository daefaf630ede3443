/** The same change where the filesystem itself tells what differs. */
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { filesystem, runInGuest, temporaryDirectory } from '@tooling/lab'
import { subject } from '../peers/subject.ts'
import { prepared } from '../prepared.ts'
import type { Contender, Goal, Samples, Work } from '../work.ts'
import { smallFiles } from './contents.ts'

const counts = { small: 10_000, full: 100_000 } as const
const perRound = 5

const goals: readonly Goal[] = [
  { metric: 'wall', statistic: 'median', to: 'graphdriver (vfs)', atMost: 0.05 },
]

export const btrfsDifferenceWork: Work = {
  id: 'diff-small-change-btrfs',
  title: 'the same on btrfs, whose trees know what is newer than a snapshot',
  units: { wall: 'ms' },
  rounds: 3,
  goals,
  prepare: (setting) =>
    prepared(async (resources) => {
      const scratch = resources.use(await temporaryDirectory())
      const count = counts[setting.scale]
      const tar = path.join(scratch.path, 'layer.tar')
      await writeFile(tar, smallFiles(count, 64))
      const { path: root } = resources.use(
        await filesystem('btrfs', { sizeMiB: 8192, storage: setting.storage }),
      )
      const own = (name: string, driver: string): Contender => ({
        name,
        round: () => subject('difference', root, tar, driver, String(perRound)),
      })
      return {
        contenders: [own('graphdriver', 'btrfs'), own('graphdriver (vfs)', 'vfs')],
        notes: [`${count} files of 64 bytes below`, 'vfs compares whole trees, on the same filesystem'],
      }
    }),
}

export const zfsDifferenceWork: Work = {
  id: 'diff-small-change-zfs',
  title: 'the same on ZFS (in a guest)',
  units: { wall: 'ms' },
  rounds: 1,
  goals,
  scales: ['full'],
  prepare: (setting) =>
    prepared(async () => {
      const count = counts[setting.scale]
      // One guest measures both.
      let told: Promise<Readonly<Record<string, number[]>>> | undefined
      const measured = async (driver: string): Promise<Samples> => {
        told ??= inGuest(count)
        return { wall: (await told)[driver] ?? [] }
      }
      return {
        contenders: [
          { name: 'graphdriver', round: () => measured('zfs') },
          { name: 'graphdriver (vfs)', round: () => measured('vfs') },
        ],
        notes: [
          `${count} files of 64 bytes below`,
          'in a guest, user-mode Linux, because this kernel has no ZFS: slower than a machine, by the same for both',
          'vfs compares whole trees, on the same pool',
        ],
      }
    }),
}

async function inGuest(count: number): Promise<Readonly<Record<string, number[]>>> {
  const program = path.join(import.meta.dirname, '../subject/guest-difference.ts')
  const { exitCode, stdout, stderr } = await runInGuest({
    command: [process.execPath, program, String(count), String(perRound)],
    disks: [{ sizeMiB: 8192 }],
    seconds: 1200,
  })
  if (exitCode !== 0) throw new Error(`the guest ended with ${exitCode}: ${stderr}`)
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Record<string, number[]>
}
