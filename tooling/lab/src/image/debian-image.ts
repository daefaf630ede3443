/**
 * The real image that acceptance tests load, built once per recipe from Debian's packages and then kept outside
 * of the repository.
 */
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { cached, type CacheRecipe } from '../cache.ts'
import { filesystemRequirements } from '../filesystem.ts'
import type { Requirement } from '../requirement.ts'
import { type LabImage, imageIn } from './lab-image.ts'

/** What a host needs to build and read it, in the terms of `need`. */
export const debianImageRequirements: readonly Requirement[] = [
  ...filesystemRequirements('ext4'),
  { kernelFilesystem: 'overlay' },
  { command: 'mmdebstrap' },
  { command: 'getfattr' },
]

const recipe: CacheRecipe = {
  files: ['cache.ts', 'image/*.ts', '../recipe/*'],
  program: path.join(import.meta.dirname, 'build.ts'),
}

/** The image, from the cache or built now, which takes a minute or two and a Debian mirror. */
export async function debianImage(): Promise<LabImage> {
  const directory = await cached(recipe)
  const layers: readonly { readonly name: string; readonly diffId: string }[] = JSON.parse(
    await readFile(path.join(directory, 'layers.json'), 'utf8'),
  )
  return imageIn(directory, layers)
}
