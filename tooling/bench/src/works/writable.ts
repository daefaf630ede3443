/** Writable layers that come and go. */
import path from 'node:path'
import { nextChainId, parseDiffId, type ChainId } from '@graphdriver/core'
import {
  debianImage,
  filesystem,
  type LabImage,
  startContainerd,
  startDocker,
  temporaryDirectory,
} from '@tooling/lab'
import { umount } from '@graphdriver/sys'
import { DockerApi } from '../peers/docker-api.ts'
import { ownProgram } from '../peers/load.ts'
import { timed } from '../peers/process.ts'
import { Snapshots, mountSnapshot } from '../peers/snapshots.ts'
import { prepared } from '../prepared.ts'
import { subject } from '../peers/subject.ts'
import { inTurns } from '../subject/in-turns.ts'
import type { Contender, Goal, Prepared, Setting, Work } from '../work.ts'

export function topOf(image: LabImage): ChainId {
  let chain: ChainId | undefined
  for (const { diffId } of image.layers) chain = nextChainId(chain, parseDiffId(diffId))
  if (chain === undefined) throw new Error('an image without layers')
  return chain
}

/** An image in our store, in containerd's and in dockerd's, each on a filesystem of its own, with the daemons up. */
export function prepareEngines(
  setting: Setting,
  use: (engines: {
    readonly root: string
    readonly chain: ChainId
    readonly scratch: string
    readonly snapshots: Snapshots
    readonly docker: DockerApi
    readonly image: LabImage
  }) => readonly Contender[],
  notes: readonly string[],
  making: () => Promise<LabImage> = debianImage,
): Promise<Prepared> {
  return prepared(async (resources) => {
    const image = await making()
    const place = async (): Promise<string> =>
      resources.use(await filesystem('ext4', { sizeMiB: 16 * 1024, storage: setting.storage })).path
    const root = await place()
    const [program = '', main = ''] = ownProgram
    await timed(program, [main, '--root', root, '--driver', 'overlay2', 'load', image.dockerArchive])
    const scratch = resources.use(await temporaryDirectory())
    const containerd = resources.use(await startContainerd(path.join(await place(), 'data')))
    await containerd.ctr('images', 'import', image.dockerArchive)
    const dockerPlace = { root: path.join(await place(), 'data'), driver: 'overlay2' }
    const dockerd = resources.use(await startDocker(dockerPlace, scratch.path))
    await dockerd.docker('load', '--quiet', '--input', image.dockerArchive)
    const snapshots = resources.use(new Snapshots(containerd.socket))
    const docker = resources.use(new DockerApi(dockerd.socket))
    const contenders = use({ root, chain: topOf(image), scratch: scratch.path, snapshots, docker, image })
    return { contenders, notes }
  })
}

/** Of containers that are started; each takes as long as dozens that are not. */
const startedCount = 32

function cycle(width: number): Work {
  const goals: Goal[] = (['median', 'p99'] as const).map((statistic) => ({
    metric: 'wall',
    statistic,
    to: 'best',
    atMost: 0.5,
  }))
  return {
    id: `writable-${width}`,
    title: `a writable layer on an image, made, mounted, unmounted and removed, ${width} at a time (overlay2, ext4)`,
    units: { wall: 'ms' },
    rounds: 3,
    goals,
    prepare: (setting) => {
      const count = setting.scale === 'full' ? 400 : 100
      return prepareEngines(
        setting,
        ({ root, chain, scratch, snapshots, docker, image }) => [
          {
            name: 'graphdriver',
            round: () => subject('writable', root, chain, String(count), String(width)),
          },
          {
            name: 'containerd',
            async round() {
              return {
                wall: await inTurns(count, width, async (index) => {
                  const key = `${process.hrtime.bigint()}-${index}`
                  const target = path.join(scratch, `mount-${index}`)
                  await mountSnapshot(await snapshots.prepare(key, chain), target)
                  umount(target)
                  await snapshots.remove(key)
                }),
              }
            },
          },
          {
            name: 'dockerd',
            round: async () => ({
              wall: await inTurns(count, width, async () =>
                docker.remove(await docker.create(image.reference)),
              ),
            }),
          },
          {
            name: 'dockerd, started',
            round: async () => ({
              wall: await inTurns(startedCount, width, async () => {
                const id = await docker.create(image.reference, ['/bin/true'])
                await docker.start(id)
                await docker.remove(id)
              }),
            }),
          },
        ],
        [
          `${count} layers a round`,
          'containerd: Prepare and Remove by its API, mount(2) and umount(2) by the client, as its clients do',
          'dockerd: a container is created and removed by its API, which mounts the layer below it, the init layer',
          `dockerd, started: ${startedCount} are started too, which mounts the container's own layer, and runs a process`,
        ],
      )
    },
  }
}

export const writableWorks: readonly Work[] = [cycle(1), cycle(16)]
