/** One layer of many small files. */
import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { temporaryDirectory } from '@tooling/lab'
import { subject } from '../peers/subject.ts'
import { timed, wall } from '../peers/process.ts'
import { onFresh, warm } from '../place.ts'
import { prepared } from '../prepared.ts'
import type { Contender, Samples, Work } from '../work.ts'
import { smallFiles } from './contents.ts'

const counts = { small: 5000, full: 100_000 } as const

export const smallFilesWork: Work = {
  id: 'small-files',
  title: 'one layer of small files, from an uncompressed tar (overlay2, ext4)',
  units: { wall: 'ms' },
  rounds: 5,
  goals: [
    { metric: 'wall', statistic: 'median', of: 'graphdriver', to: 'tar', atMost: 0.85 },
    { metric: 'wall', statistic: 'median', of: 'graphdriver with record', to: 'tar', atMost: 1.1 },
  ],
  prepare: (setting) =>
    prepared(async (resources) => {
      const scratch = resources.use(await temporaryDirectory())
      const tar = path.join(scratch.path, 'layer.tar')
      const count = counts[setting.scale]
      await writeFile(tar, smallFiles(count))
      const contender = (name: string, unpack: (root: string) => Promise<Samples>): Contender => ({
        name,
        round: () =>
          onFresh(setting, 'ext4', async (root) => {
            await warm(tar)
            return await unpack(root)
          }),
      })
      const peer = (program: string): Contender =>
        contender(program, async (root) =>
          wall((await timed(program, ['-xpf', tar, '-C', root])).milliseconds),
        )
      const own = (name: string, how: string): Contender =>
        contender(name, (root) => subject('unpack', root, tar, how))
      return {
        contenders: [
          own('graphdriver', 'apply'),
          own('graphdriver with record', 'register'),
          peer('tar'),
          peer('bsdtar'),
        ],
        notes: [
          `${count} files of 1 KiB, 100 to a directory`,
          'the programs are timed with their start; ours begins when its packages are loaded, as in a process that serves',
          'with record: SHA-256 and tar-split, by which the tar comes out again byte for byte',
        ],
      }
    }),
}
