/** Builds an image of a recipe, in each form that tests and benchmarks read. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { filesystem } from '../filesystem.ts'
import { fileDigest } from './digest.ts'
import { ownDistribution } from './distribution.ts'
import { writeDockerArchive } from './docker-archive.ts'
import { type LabLayer, imageIn, layerTar } from './lab-image.ts'
import { packLayer } from './layer-tar.ts'
import { writeOciLayout } from './oci-layout.ts'
import type { ImageRecipe } from './recipe.ts'
import { bootstrap, runInLayer } from './stack.ts'

async function pack(
  directory: string,
  upper: string,
  name: string,
  tarOptions: readonly string[],
): Promise<LabLayer> {
  const tar = layerTar(directory, name)
  await packLayer(upper, tar, tarOptions)
  return { name, path: tar, diffId: await fileDigest(tar) }
}

async function buildLayers(
  { programs, baseTarOptions, steps }: ImageRecipe,
  directory: string,
  scratch: string,
): Promise<readonly LabLayer[]> {
  await mkdir(path.join(directory, 'layers'))
  const base = path.join(scratch, '01-base')
  await bootstrap(base, await ownDistribution())
  const layers = [await pack(directory, base, '01-base', baseTarOptions)]
  const uppers = [base]
  for (const { name, extension, interpreter, tarOptions } of steps) {
    const upper = path.join(scratch, name)
    const program = await readFile(path.join(programs, `${name}.${extension}`), 'utf8')
    await runInLayer(uppers, upper, [...interpreter, program])
    layers.push(await pack(directory, upper, name, tarOptions))
    uppers.push(upper)
  }
  return layers
}

/** @param directory empty */
export async function buildImage(recipe: ImageRecipe, directory: string): Promise<void> {
  // An overlay's upper directory cannot be just anywhere: not on the overlay that a container stands on.
  await using scratch = await filesystem('ext4', { sizeMiB: 8192 })
  const layers = await buildLayers(recipe, directory, scratch.path)
  const image = imageIn(directory, layers)
  const links = path.join(directory, 'docker-archive')
  const archive = async (file: string, contents: readonly LabLayer[]): Promise<void> => {
    await writeDockerArchive(file, image.reference, contents, links)
    await rm(links, { recursive: true })
  }
  await archive(image.dockerArchive, layers)
  for (const compression of ['gzip', 'zstd'] as const) {
    const blobs = await writeOciLayout(image.oci[compression], layers, compression)
    if (compression === 'gzip' && recipe.hasGzipArchive)
      await archive(
        image.dockerArchiveGzip,
        layers.map((layer, index) => ({ ...layer, path: blobs[index] ?? '' })),
      )
  }
  const record = layers.map(({ name, diffId }) => ({ name, diffId }))
  await writeFile(path.join(directory, 'layers.json'), JSON.stringify(record))
}
