/** A thousand writable layers at the same time. */
import path from 'node:path'
import { writeFileSync } from 'node:fs'
import { umount } from '@graphdriver/sys'
import { mountSnapshot } from '../peers/snapshots.ts'
import { subject } from '../peers/subject.ts'
import type { Work } from '../work.ts'
import { prepareEngines } from './writable.ts'

export const manyWritableWork: Work = {
  id: 'writable-1000',
  title:
    'writable layers on one image that stay, each made, mounted, written a small file to, unmounted (overlay2, ext4)',
  units: { wall: 'ms', slope: '×', disk: 'KiB', memory: 'MiB', removal: 'ms' },
  rounds: 1,
  goals: [
    { metric: 'wall', statistic: 'median', to: 'containerd', atMost: 0.5 },
    { metric: 'slope', statistic: 'max', atMost: 1.5 },
    { metric: 'disk', statistic: 'max', atMost: 64 },
    { metric: 'memory', statistic: 'max', atMost: 16 },
  ],
  prepare: (setting) => {
    const count = setting.scale === 'full' ? 1000 : 200
    return prepareEngines(
      setting,
      ({ root, chain, scratch, snapshots }) => [
        { name: 'graphdriver', round: () => subject('thousand', root, chain, String(count)) },
        {
          name: 'containerd',
          async round() {
            const keys = Array.from({ length: count }, (_, at) => `${process.hrtime.bigint()}-${at}`)
            const wall: number[] = []
            for (const key of keys) {
              const target = path.join(scratch, 'stays')
              const start = performance.now()
              await mountSnapshot(await snapshots.prepare(key, chain), target)
              writeFileSync(path.join(target, 'own'), key)
              umount(target)
              wall.push(performance.now() - start)
            }
            const start = performance.now()
            for (const key of keys) await snapshots.remove(key)
            return { wall, removal: [(performance.now() - start) / count] }
          },
        },
      ],
      [
        `${count} layers`,
        'slope: the median of the last tenth through that of the second tenth',
        'memory: what the process has grown by from the first tenth to the end; disk: what each layer takes, its file included',
      ],
    )
  },
}
