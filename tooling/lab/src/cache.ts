/** What takes long to make is made once per recipe and kept outside of the repository. */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { glob, mkdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises'
import { homedir } from 'node:os'
import path from 'node:path'
import { command } from '@graphdriver/core/conformance'

export interface CacheRecipe {
  /** Globs of all that has a say in what is made, relative to `src/`: another recipe is another thing. */
  readonly files: readonly string[]
  /** Makes it: `node PROGRAM DIRECTORY`, by way of `make`. */
  readonly program: string
}

/** What no run asked for in this time is from an older recipe. */
const keptDays = 7

const sources = import.meta.dirname

function cacheRoot(): string {
  const ownCache = process.geteuid?.() === 0 ? '/var/cache' : path.join(homedir(), '.cache')
  return path.join(process.env['XDG_CACHE_HOME'] ?? ownCache, 'graphdriver-lab')
}

async function keyOf({ files }: CacheRecipe): Promise<string> {
  const hash = createHash('sha256').update(process.arch)
  for (const file of (await Array.fromAsync(glob([...files], { cwd: sources }))).toSorted()) {
    hash.update(`${file}\n`).update(await readFile(path.join(sources, file)))
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

/** Whether what a recipe makes is there. */
export async function isCached(recipe: CacheRecipe): Promise<boolean> {
  return existsSync(path.join(cacheRoot(), await keyOf(recipe)))
}

/**
 * The directory of what a recipe makes, made now if it is not there. The program runs under a lock that the kernel
 * lets go should it die; others wait for it.
 */
export async function cached(recipe: CacheRecipe): Promise<string> {
  const root = cacheRoot()
  const directory = path.join(root, await keyOf(recipe))
  if (!existsSync(directory)) {
    await mkdir(root, { recursive: true })
    await forgetUnused(root)
    const lock = path.join(root, `${path.basename(recipe.program)}.lock`)
    await command('flock', [lock, process.execPath, recipe.program, directory])
  }
  const now = new Date()
  await utimes(directory, now, now)
  return directory
}

/** For the program of a recipe: what it makes in `unfinished` becomes the directory that it was started with. */
export async function make(build: (unfinished: string) => Promise<void>): Promise<void> {
  const [, program, directory] = process.argv
  if (directory === undefined) throw new Error(`usage: node ${program ?? ''} DIRECTORY`)
  // Whoever held the lock before may have built it.
  if (existsSync(directory)) return
  const unfinished = `${directory}.unfinished`
  await rm(unfinished, { recursive: true, force: true })
  await mkdir(unfinished, { recursive: true })
  await build(unfinished)
  await rename(unfinished, directory)
}
