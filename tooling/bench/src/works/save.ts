/** An image on its way out. */
import { benchmarkImage, debianImage } from '@tooling/lab'
import { subject } from '../peers/subject.ts'
import type { Work } from '../work.ts'
import { prepareEngines } from './writable.ts'

export const saveWork: Work = {
  id: 'save',
  title: 'the layers of an image as the tars that they were loaded as, read to the end (overlay2, ext4)',
  units: { perMiB: 'ms per MiB' },
  rounds: 3,
  // One and a half times the rate.
  goals: [{ metric: 'perMiB', statistic: 'median', to: 'best', atMost: 1 / 1.5 }],
  prepare: (setting) =>
    prepareEngines(
      setting,
      ({ root, chain, docker, image }) => [
        { name: 'graphdriver', round: () => subject('save', root, chain) },
        // Of the small image dockerd cannot put a layer together again (one that is a sparse file in its tar).
        ...(setting.scale === 'small'
          ? []
          : [
              {
                name: 'dockerd',
                async round() {
                  const start = performance.now()
                  const bytes = await docker.count(`/images/${image.reference}/get`)
                  return { perMiB: [(performance.now() - start) / (bytes / 1024 ** 2)] }
                },
              },
            ]),
      ],
      ['dockerd: GET /images/NAME/get, whose archive is the layers’ tars and little else'],
      setting.scale === 'small' ? debianImage : benchmarkImage,
    ),
}
