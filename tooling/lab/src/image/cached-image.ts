/** Real images, built once per recipe from Debian's packages and then kept outside of the repository. */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { cached, type CacheRecipe } from '../cache.ts'
import { filesystemRequirements } from '../filesystem.ts'
import type { Requirement } from '../requirement.ts'
import { type LabImage, imageIn } from './lab-image.ts'

/** What a host needs to build and read them, in the terms of `need`. */
export const debianImageRequirements: readonly Requirement[] = [
  ...filesystemRequirements('ext4'),
  { kernelFilesystem: 'overlay' },
  { command: 'mmdebstrap' },
  { command: 'getfattr' },
]

function recipeOf(name: string): CacheRecipe {
  return {
    files: ['cache.ts', 'image/*.ts', `../recipe/${name}/*`],
    program: path.join(import.meta.dirname, `build-${name}-image.ts`),
  }
}

/** The image that tests load, from the cache or built now, which takes a minute or two and a Debian mirror. */
export function debianImage(): Promise<LabImage> {
  return cachedImage('test')
}

/** The image that benchmarks load: six layers, some 80 000 files. Building it takes some minutes. */
export function benchmarkImage(): Promise<LabImage> {
  return cachedImage('benchmark')
}

async function cachedImage(name: string): Promise<LabImage> {
  const directory = await cached(recipeOf(name))
  const layers: readonly { readonly name: string; readonly diffId: string }[] = JSON.parse(
    await readFile(path.join(directory, 'layers.json'), 'utf8'),
  )
  return imageIn(directory, layers)
}
