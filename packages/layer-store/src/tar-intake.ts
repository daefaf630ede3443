import { createHash, type Hash } from 'node:crypto'
import { type ArchiveLimits, TarSplitter } from '@graphdriver/archive'
import { type DiffId, parseDiffId, type TarStream } from '@graphdriver/core'
import { RecipeFile } from './recipe-file.ts'
import { TarSource } from './tar-source.ts'

export interface IntakeOptions {
  /** Where the `tar-split.json.gz` is to be written. */
  readonly recipe: string
  /** Whether the recipe is to be on the disk in the end; by default it is. */
  readonly isFlushed?: boolean | undefined
  readonly limits: Partial<ArchiveLimits>
  /** Extracts the tar and returns the size of what it holds. */
  readonly apply: (tar: TarStream) => Promise<number>
}

export interface Intake {
  readonly diffId: DiffId
  readonly diffSize: number
}

/**
 * Reads a tar once, to its very end: what passes through to `apply` is hashed and noted in the recipe on the way, and
 * so is what `apply` leaves unread, such as padding after the end of the archive.
 */
export async function takeIn(tar: TarStream, options: IntakeOptions): Promise<Intake> {
  const hash = createHash('sha256')
  await using recipe = await RecipeFile.create(options.recipe, options.isFlushed ?? true)
  await using source = new TarSource(noted(tar, hash, recipe, options.limits))
  const diffSize = await applied(source, options)
  await source.drain()
  await recipe.finish()
  return { diffId: parseDiffId(`sha256:${hash.digest('hex')}`), diffSize }
}

async function applied(source: TarSource, options: IntakeOptions): Promise<number> {
  try {
    return await options.apply(source)
  } catch (error) {
    source.throwIfFailed()
    throw error
  }
}

async function* noted(
  tar: TarStream,
  hash: Hash,
  recipe: RecipeFile,
  limits: Partial<ArchiveLimits>,
): AsyncGenerator<Uint8Array, void, void> {
  const splitter = new TarSplitter((lines) => recipe.write(lines), limits)
  for await (const chunk of tar) {
    // The recipe is small beside the layer, but must not pile up in memory when the disk is slower than the source.
    await recipe.ready()
    hash.update(chunk)
    splitter.push(chunk)
    yield chunk
  }
  splitter.finish()
}
