/** Programs that unpack a whole image, each on a filesystem of its own. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { detach } from '@graphdriver/sys'
import { type LabImage, startContainerd, startDocker, temporaryDirectory } from '@tooling/lab'
import { timed, timeOf, weighed, type Weighed } from './process.ts'

/** How the layers of an image are compressed. */
export type Form = 'tar' | 'gzip' | 'zstd'

export interface Loader {
  readonly name: string
  /** What it reads; undefined where it cannot have this form. */
  readonly input: (image: LabImage, form: Form) => string | undefined
  /** Loads it, timed, into a directory on an empty filesystem. */
  readonly load: (
    input: string,
    root: string,
    finish: () => Promise<void>,
    image: LabImage,
    form: Form,
  ) => Promise<Pick<Weighed, 'milliseconds'> & Partial<Weighed>>
}

const main = path.join(
  path.dirname(fileURLToPath(import.meta.resolve('@graphdriver/cli/package.json'))),
  'dist/main.js',
)

export const ownProgram: readonly string[] = [process.execPath, main]

/** @param durability what it waits for */
export function graphdriver(durability: 'safe' | 'fast', driver = 'overlay2'): Loader {
  return {
    name: 'graphdriver',
    input: ({ dockerArchive, oci }, form) => (form === 'tar' ? dockerArchive : oci[form].archive),
    load: (input, root) =>
      weighed(process.execPath, [
        main,
        '--root',
        path.join(root, 'data'),
        '--driver',
        driver,
        '--durability',
        durability,
        '--no-progress',
        'load',
        input,
      ]),
  }
}

export const dockerd: Loader = {
  name: 'dockerd',
  input: ({ dockerArchive, dockerArchiveGzip }, form) =>
    ({
      tar: dockerArchive,
      // The small image has none.
      gzip: existsSync(dockerArchiveGzip) ? dockerArchiveGzip : undefined,
      zstd: undefined,
    })[form],
  async load(input, root, finish) {
    // Paths of sockets have to be short.
    await using state = await temporaryDirectory()
    const place = { root: path.join(root, 'data'), driver: 'overlay2' }
    await using daemon = await startDocker(place, state.path)
    const milliseconds = await timeOf(async () => {
      await daemon.docker('load', '--quiet', '--input', input)
      await finish()
    })
    return { milliseconds }
  },
}

export const containerd: Loader = {
  name: 'containerd',
  input: ({ dockerArchive, oci }, form) => (form === 'tar' ? dockerArchive : oci[form].archive),
  async load(input, root, finish) {
    await using daemon = await startContainerd(path.join(root, 'data'))
    const milliseconds = await timeOf(async () => {
      await daemon.ctr('images', 'import', input)
      await finish()
    })
    return { milliseconds }
  },
}

export const containersStorage: Loader = {
  name: 'containers/storage',
  input: ({ dockerArchive, oci }, form) =>
    form === 'tar' ? `docker-archive:${dockerArchive}` : `oci:${oci[form].layout}`,
  async load(input, root, finish) {
    const store = `containers-storage:[overlay@${root}/data+${root}/run]`
    const milliseconds = await timeOf(async () => {
      await timed('skopeo', ['copy', '--quiet', '--insecure-policy', input, `${store}bench:latest`])
      await finish()
    })
    // It leaves its directory bound to itself.
    detach(path.join(root, 'data', 'overlay'))
    return { milliseconds }
  },
}

/** One tree for the whole image, without layers and without a record of them. */
export const umoci: Loader = {
  name: 'umoci',
  input: ({ oci }, form) => (form === 'gzip' ? `${oci.gzip.layout}:latest` : undefined),
  async load(input, root, finish) {
    const milliseconds = await timeOf(async () => {
      await timed('umoci', ['unpack', '--image', input, path.join(root, 'bundle')])
      await finish()
    })
    return { milliseconds }
  },
}

/** The floor: each layer into a directory of its own, and nothing kept of it; its digest, where it is not compressed. */
export function plainTar(program: 'tar' | 'bsdtar'): Loader {
  return {
    name: `${program} + sha256sum`,
    input: ({ oci }, form) => (form === 'tar' ? '' : oci[form].layout),
    async load(layout, root, finish, image) {
      const layers = layout === '' ? image.layers.map((layer) => layer.path) : await blobsOf(layout)
      const milliseconds = await timeOf(async () => {
        await timed('sh', ['-ec', unpackEach, 'sh', root, program, ...layers], { env: { LC_ALL: 'C.UTF-8' } })
        await finish()
      })
      return { milliseconds }
    },
  }
}

const unpackEach = `
cd "$1"
program=$2
shift 2
for layer in "$@"; do
  mkdir "\${layer##*/}.d"
  $program -xpf "$layer" -C "\${layer##*/}.d"
  sha256sum "$layer"
done`

interface Descriptor {
  readonly digest: string
}

/** The files of an image's layers, base first. */
async function blobsOf(layout: string): Promise<readonly string[]> {
  const blob = ({ digest }: Descriptor): string => path.join(layout, 'blobs', digest.replace(':', '/'))
  const json = async (file: string): Promise<unknown> => JSON.parse(await readFile(file, 'utf8'))
  const { manifests } = (await json(path.join(layout, 'index.json'))) as {
    readonly manifests: readonly Descriptor[]
  }
  const manifest = manifests[0]
  if (manifest === undefined) throw new Error(`${layout} has no image`)
  const { layers } = (await json(blob(manifest))) as { readonly layers: readonly Descriptor[] }
  return layers.map(blob)
}
