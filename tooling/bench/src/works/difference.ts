/** What a container changed in a large image. */
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { filesystem, startDocker, temporaryDirectory } from '@tooling/lab'
import { DockerApi } from '../peers/docker-api.ts'
import { subject } from '../peers/subject.ts'
import { prepared } from '../prepared.ts'
import type { Contender, Work } from '../work.ts'
import { smallFiles } from './contents.ts'

const counts = { small: 10_000, full: 100_000 } as const
const perRound = 5

export const differenceWork: Work = {
  id: 'diff-small-change',
  title: 'the changes of a container that touched thirty files of a large image (ext4)',
  units: { wall: 'ms' },
  rounds: 3,
  goals: [
    { metric: 'wall', statistic: 'median', to: 'graphdriver (vfs)', atMost: 0.05 },
    {
      metric: 'wall',
      statistic: 'median',
      of: 'graphdriver (vfs)',
      to: 'dockerd (vfs)',
      atMost: 0.7,
    },
  ],
  prepare: (setting) =>
    prepared(async (resources) => {
      const scratch = resources.use(await temporaryDirectory())
      const count = counts[setting.scale]
      const tar = path.join(scratch.path, 'layer.tar')
      await writeFile(tar, smallFiles(count, 64))
      const place = async (): Promise<string> =>
        resources.use(
          await filesystem('ext4', {
            sizeMiB: 8192,
            storage: setting.storage,
            mkfsOptions: ['-N', '1000000'],
          }),
        ).path
      const root = await place()
      const own = (name: string, driver: string): Contender => ({
        name,
        round: () => subject('difference', root, tar, driver, String(perRound)),
      })
      const contenders = [own('graphdriver', 'overlay2'), own('graphdriver (vfs)', 'vfs')]
      for (const driver of ['overlay2', 'vfs']) {
        const state = resources.use(await temporaryDirectory())
        const daemon = resources.use(
          await startDocker({ root: path.join(await place(), 'data'), driver }, state.path),
        )
        await daemon.docker('import', tar, 'large')
        const api = resources.use(new DockerApi(daemon.socket))
        const id = await api.create('large', ['none'])
        // Through its own API, so that it is dockerd that writes: a tar of the files that change.
        const changed = path.join(scratch.path, `change-${driver}`)
        await mkdir(path.join(changed, 'new'), { recursive: true })
        for (let at = 0; at < 10; at++) {
          await writeFile(path.join(changed, 'new', `f${at}`), 'new')
          await mkdir(path.join(changed, `d${at}`))
          await writeFile(path.join(changed, `d${at}`, `f${at * 100}`), 'changed')
          await writeFile(path.join(changed, `d${at}`, `g${at}`), 'one more')
        }
        await daemon.docker('cp', `${changed}/.`, `${id}:/`)
        contenders.push({
          name: `dockerd (${driver})`,
          async round() {
            const wall: number[] = []
            for (let at = 0; at < perRound; at++) {
              const start = performance.now()
              await api.call('GET', `/containers/${id}/changes`)
              wall.push(performance.now() - start)
            }
            return { wall }
          },
        })
      }
      return {
        contenders,
        notes: [
          `${count} files of 64 bytes below`,
          'on vfs both compare whole trees; dockerd tells the changes by its API',
        ],
      }
    }),
}
