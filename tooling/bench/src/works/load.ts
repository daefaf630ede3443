/** A whole image, loaded. */
import { access } from 'node:fs/promises'
import { FastInflate } from '@graphdriver/sys'
import { benchmarkImage, debianImage } from '@tooling/lab'
import {
  containerd,
  containersStorage,
  dockerd,
  type Form,
  graphdriver,
  type Loader,
  plainTar,
  umoci,
} from '../peers/load.ts'
import { flush, onFresh, warm } from '../place.ts'
import type { Contender, Goal, Work } from '../work.ts'

const peers: readonly Loader[] = [
  dockerd,
  containerd,
  containersStorage,
  umoci,
  plainTar('tar'),
  plainTar('bsdtar'),
]
const floors = ['tar + sha256sum', 'bsdtar + sha256sum', 'umoci']

function inflatedBy(): string {
  return FastInflate.create() === undefined
    ? 'ours inflates by zlib: ISA-L (package libisal2) is not installed'
    : 'ours inflates by ISA-L (package libisal2), dockerd by unpigz'
}

const titles: Readonly<Record<Form, string>> = { tar: 'uncompressed', gzip: 'gzip', zstd: 'zstd' }

function loadWork(form: Form, until: 'visible' | 'durable', goals: readonly Goal[]): Work {
  const durable = until === 'durable'
  return {
    id: `load-${form}${durable ? '-durable' : ''}`,
    title: `an image of six layers, ${titles[form]}, until it is ${durable ? 'on the disk' : 'there'} (overlay2, ext4)`,
    units: { wall: 'ms', rss: 'MiB' },
    rounds: 3,
    goals,
    async prepare(setting) {
      const image = await (setting.scale === 'full' ? benchmarkImage() : debianImage())
      const loaders = [graphdriver(durable ? 'safe' : 'fast'), ...peers]
      const contenders: Contender[] = []
      const notes: string[] = form === 'gzip' ? [inflatedBy()] : []
      for (const loader of loaders) {
        const input = loader.input(image, form)
        // The small image has names that are no UTF-8.
        const cannot = setting.scale === 'small' && loader.name.startsWith('bsdtar')
        if (input === undefined || cannot) {
          notes.push(`${loader.name} cannot load ${cannot ? 'this image' : `layers in ${form}`}`)
          continue
        }
        contenders.push({
          name: loader.name,
          round: () =>
            onFresh(setting, 'ext4', async (root) => {
              await warmInput(image, form)
              const finish = durable ? () => flush(root) : async () => undefined
              const { milliseconds, peakMiB } = await loader.load(input, root, finish, image, form)
              return { wall: [milliseconds], ...(peakMiB === undefined ? {} : { rss: [peakMiB] }) }
            }),
        })
      }
      return { contenders, notes, [Symbol.asyncDispose]: async () => undefined }
    },
  }

  async function warmInput(image: Awaited<ReturnType<typeof debianImage>>, wanted: Form): Promise<void> {
    const files =
      wanted === 'tar'
        ? [image.dockerArchive, ...image.layers.map((layer) => layer.path)]
        : [image.oci[wanted].archive]
    for (const file of files) await access(file)
    await warm(...files)
  }
}

const memory: Goal = { metric: 'rss', statistic: 'max', atMost: 300 }

export const loadWorks: readonly Work[] = [
  loadWork('tar', 'visible', [
    { metric: 'wall', statistic: 'median', to: 'dockerd', atMost: 0.3 },
    { metric: 'wall', statistic: 'median', to: 'containerd', atMost: 0.4 },
    { metric: 'wall', statistic: 'median', to: 'tar + sha256sum', atMost: 0.65 },
    memory,
  ]),
  loadWork('gzip', 'visible', [
    { metric: 'wall', statistic: 'median', to: 'dockerd', atMost: 0.35 },
    { metric: 'wall', statistic: 'median', to: 'containerd', atMost: 0.35 },
    { metric: 'wall', statistic: 'median', to: 'containers/storage', atMost: 0.35 },
    memory,
  ]),
  loadWork('zstd', 'visible', [
    { metric: 'wall', statistic: 'median', to: 'best', except: floors, atMost: 0.4 },
    memory,
  ]),
  loadWork('tar', 'durable', [
    { metric: 'wall', statistic: 'median', to: 'best', except: floors, atMost: 0.45 },
  ]),
]
