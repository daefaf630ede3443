/**
 * The real image that acceptance tests load, built once per recipe from Debian's packages and then kept outside
 * of the repository.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { glob, mkdir, readFile, rm, stat, utimes } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { command } from '@graphdriver/core/conformance'
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

/** Images that no run asked for in this time are from an older recipe. */
const keptDays = 7

function cacheRoot(): string {
  const ownCache = process.geteuid?.() === 0 ? '/var/cache' : path.join(homedir(), '.cache')
  return path.join(process.env['XDG_CACHE_HOME'] ?? ownCache, 'graphdriver-lab')
}

/** Digest of all that has a say in what the image is: the recipe, and the code that follows it. */
async function recipeKey(): Promise<string> {
  const hash = createHash('sha256').update(process.arch)
  const files = await Array.fromAsync(
    glob(['image/*.ts', '../recipe/*'], { cwd: path.dirname(import.meta.dirname) }),
  )
  for (const file of files.toSorted()) {
    hash.update(`${file}\n`).update(await readFile(path.join(path.dirname(import.meta.dirname), file)))
  }
  return hash.digest('hex').slice(0, 16)
}

async function forgetUnused(root: string): Promise<void> {
  const limit = Date.now() - keptDays * 24 * 3600 * 1000
  for await (const name of glob('*/', { cwd: root })) {
    const directory = path.join(root, name)
    if ((await stat(directory)).mtimeMs < limit) await rm(directory, { recursive: true, force: true })
  }
}

async function build(root: string, directory: string): Promise<void> {
  await mkdir(root, { recursive: true })
  await forgetUnused(root)
  const program = path.join(import.meta.dirname, 'build.ts')
  await command('flock', [path.join(root, 'lock'), process.execPath, program, directory])
}

/** The image, from the cache or built now, which takes a minute or two and a Debian mirror. */
export async function debianImage(): Promise<LabImage> {
  const root = cacheRoot()
  const directory = path.join(root, await recipeKey())
  if (!existsSync(directory)) await build(root, directory)
  const now = new Date()
  await utimes(directory, now, now)
  const layers: readonly { readonly name: string; readonly diffId: string }[] = JSON.parse(
    await readFile(path.join(directory, 'layers.json'), 'utf8'),
  )
  return imageIn(directory, layers)
}
