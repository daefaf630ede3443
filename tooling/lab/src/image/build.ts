/**
 * Builds the test image: `node build.ts <directory>`. A program of its own, so that flock(1) can hold others back
 * while it works, and the kernel lets them go should it die.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { make } from '../cache.ts'
import { filesystem } from '../filesystem.ts'
import { fileDigest } from './digest.ts'
import { ownDistribution } from './distribution.ts'
import { writeDockerArchive } from './docker-archive.ts'
import { type LabLayer, imageIn, layerTar } from './lab-image.ts'
import { packLayer } from './layer-tar.ts'
import { writeOciLayout } from './oci-layout.ts'
import { baseTarOptions, steps } from './recipe.ts'
import { bootstrap, runInLayer } from './stack.ts'

const recipes = path.join(import.meta.dirname, '../../recipe')

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

async function buildLayers(directory: string, scratch: string): Promise<readonly LabLayer[]> {
  await mkdir(path.join(directory, 'layers'))
  const base = path.join(scratch, '01-base')
  await bootstrap(base, await ownDistribution())
  const layers = [await pack(directory, base, '01-base', baseTarOptions)]
  const uppers = [base]
  for (const { name, extension, interpreter, tarOptions } of steps) {
    const upper = path.join(scratch, name)
    const program = await readFile(path.join(recipes, `${name}.${extension}`), 'utf8')
    await runInLayer(uppers, upper, [...interpreter, program])
    layers.push(await pack(directory, upper, name, tarOptions))
    uppers.push(upper)
  }
  return layers
}

async function buildImage(directory: string): Promise<void> {
  // An overlay's upper directory cannot be just anywhere: not on the overlay that a container stands on.
  await using scratch = await filesystem('ext4', { sizeMiB: 4096 })
  const layers = await buildLayers(directory, scratch.path)
  const image = imageIn(directory, layers)
  const links = path.join(directory, 'docker-archive')
  await writeDockerArchive(image.dockerArchive, image.reference, layers, links)
  await rm(links, { recursive: true })
  for (const compression of ['gzip', 'zstd'] as const) {
    await writeOciLayout(image.oci[compression], layers, compression)
  }
  const record = layers.map(({ name, diffId }) => ({ name, diffId }))
  await writeFile(path.join(directory, 'layers.json'), JSON.stringify(record))
}

await make(buildImage)
