/** A copy of a whole layer that shares its blocks. */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { filesystem, type FilesystemKind, temporaryDirectory } from '@tooling/lab'
import { subject } from '../peers/subject.ts'
import { timed, wall } from '../peers/process.ts'
import { prepared } from '../prepared.ts'
import type { Work } from '../work.ts'
import { smallFiles } from './contents.ts'

const counts = { small: 4000, full: 20_000 } as const

export function copyWork(kind: FilesystemKind): Work {
  return {
    id: `copy-reflink-${kind}`,
    title: `a layer of vfs made of another, by reflink (${kind})`,
    units: { wall: 'ms' },
    rounds: 5,
    goals: [{ metric: 'wall', statistic: 'median', to: 'cp --reflink', atMost: 1.1 }],
    prepare: (setting) =>
      prepared(async (resources) => {
        const scratch = resources.use(await temporaryDirectory())
        const tar = path.join(scratch.path, 'layer.tar')
        const count = counts[setting.scale]
        await writeFile(tar, smallFiles(count, 8192))
        const volume = resources.use(await filesystem(kind, { sizeMiB: 16 * 1024, storage: setting.storage }))
        // The layer is made once, and is what both copy.
        await subject('copy', volume.path, tar)
        const source = path.join(volume.path, 'vfs', 'dir', 'image')
        await mkdir(path.join(volume.path, 'copies'))
        return {
          contenders: [
            { name: 'graphdriver', round: () => subject('copy', volume.path, tar) },
            {
              name: 'cp --reflink',
              async round() {
                const copies = path.join(volume.path, 'copies')
                const target = path.join(copies, String((await readdir(copies)).length))
                return wall((await timed('cp', ['-a', '--reflink=always', source, target])).milliseconds)
              },
            },
          ],
          notes: [`${count} files of 8 KiB`, 'cp is timed with its start'],
        }
      }),
  }
}
