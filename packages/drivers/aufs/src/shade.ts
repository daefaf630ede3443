/** How a stack of layers in AUFS's format is one for overlayfs: nothing of them is copied. */
import { mkdirSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Shade, TreeWorkers } from '@graphdriver/archive'
import type { LayerId } from '@graphdriver/core'
import { isSystemError, makeScratch, takeName } from '@graphdriver/sys'
import { commit, formOf, Forms, lockForm } from './form.ts'
import { homePaths, type LayerPaths, layerPaths } from './layout.ts'

export class Shades {
  readonly #home: string
  readonly #xattr: 'trusted' | 'user'
  readonly #workers: TreeWorkers
  readonly #forms: Forms

  constructor(home: string, xattr: 'trusted' | 'user', workers: TreeWorkers) {
    this.#home = home
    this.#xattr = xattr
    this.#workers = workers
    this.#forms = new Forms(xattr)
  }

  /**
   * The lower directories for layers that have a child, nearest first, relative to the home.
   *
   * @throws GD_LAYER_NOT_FOUND
   */
  async directoriesOf(ids: readonly LayerId[]): Promise<string[]> {
    const directories: string[] = []
    for (const id of ids) {
      const shade = await this.#shadeOf(id)
      const { diff, shade: place } = layerPaths(this.#home, id)
      directories.push(...shadedDirectories(diff, place, shade))
      if (shade.opaque) break
    }
    return directories.map((directory) => path.relative(this.#home, directory))
  }

  async #shadeOf(id: LayerId): Promise<Shade> {
    const paths = layerPaths(this.#home, id)
    return readShade(paths.shade) ?? (await this.#make(id, paths))
  }

  async #make(id: LayerId, paths: LayerPaths): Promise<Shade> {
    // Docker's layers do not say that they have a child.
    await commit(this.#home, id)
    if (formOf(paths) === 'changing') {
      using _ = await lockForm(this.#home, id, 'exclusive')
      await this.#forms.toAufs(paths)
    }
    using _ = await lockForm(this.#home, id, 'shared')
    // Overlayfs understands it as it is.
    if (formOf(paths) !== 'aufs') return noShade
    return await this.#makeIn(paths)
  }

  async #makeIn(paths: LayerPaths): Promise<Shade> {
    using scratch = makeScratch(homePaths(this.#home).own, 'layer', 0o700)
    try {
      const shade = await fillShade(this.#workers, paths.diff, scratch.path, this.#xattr)
      // Another may have made the same meanwhile.
      if (!takeName(scratch.path, paths.shade)) await this.#workers.remove(scratch.path)
      return shade
    } catch (error) {
      await this.#workers.remove(scratch.path).catch(() => undefined)
      throw error
    }
  }
}

/** Of a layer that overlayfs understands as it is. */
export const noShade: Shade = { over: false, under: false, opaque: false }

/** A layer's own lower directories, nearest first. */
export function shadedDirectories(diff: string, place: string, { over, under }: Shade): readonly string[] {
  return [...(over ? [path.join(place, 'over')] : []), diff, ...(under ? [path.join(place, 'under')] : [])]
}

/** Makes the shade of a layer's directory in an empty one. */
export async function fillShade(
  workers: TreeWorkers,
  tree: string,
  place: string,
  xattr: 'trusted' | 'user',
): Promise<Shade> {
  const [over, under] = ['over', 'under'].map((name) => path.join(place, name)) as [string, string]
  for (const directory of [over, under]) mkdirSync(directory, { mode: 0o755 })
  const shade = await workers.shade({ tree, over, under, xattr })
  if (!shade.over) rmdirSync(over)
  if (!shade.under) rmdirSync(under)
  if (shade.opaque) writeFileSync(path.join(place, 'opaque'), '')
  return shade
}

export function readShade(place: string): Shade | undefined {
  try {
    const names = new Set(readdirSync(place))
    return { over: names.has('over'), under: names.has('under'), opaque: names.has('opaque') }
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
}
