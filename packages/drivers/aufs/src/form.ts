/**
 * In which format a layer's own directory is. At rest it is AUFS's. While overlayfs has it mounted to be written, it is
 * overlayfs's, and a file says so; nothing is copied for that, see `TreeWorkers.convert`. The steps are such that a
 * process may die between any two:
 *
 * 1. `changing` is noted, the marks are exchanged, `overlay` is noted; the layer is mounted.
 * 2. The layer is unmounted; files that only look like marks are set aside; `changing` is noted, the marks are
 *    exchanged, the note goes.
 *
 * In a layer noted as `changing` both kinds of marks mean deletions, and whoever comes next turns all into AUFS's. A
 * layer that got a child while it was mounted is left in overlayfs's format, which the child's stack has it in.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { type Conversion, type LayerFormat, TreeWorkers } from '@graphdriver/archive'
import { asLayerId, type LayerId } from '@graphdriver/core'
import { ensureDirectory, isSystemError, lockDirectory } from '@graphdriver/sys'
import { isStackMounted } from '@graphdriver/sys/overlayfs'
import { homePaths, layerExists, layerNotFound, type LayerPaths, layerPaths } from './layout.ts'

type Xattr = LayerFormat['xattr']
type Form = 'aufs' | 'overlay' | 'changing'

export function formOf({ form }: LayerPaths): Form {
  try {
    return readFileSync(form, 'utf8') === 'overlay' ? 'overlay' : 'changing'
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return 'aufs'
    throw error
  }
}

/**
 * While it is held, no other process changes the layer's format; with `exclusive` none relies on it either. The layer
 * may be one that Docker made.
 *
 * @throws GD_LAYER_NOT_FOUND
 */
export async function lockForm(
  home: string,
  id: LayerId,
  mode: 'shared' | 'exclusive',
  signal?: AbortSignal,
): Promise<Disposable> {
  const { own, work, lock } = layerPaths(home, id)
  for (;;) {
    try {
      return await lockDirectory(lock, mode, { signal })
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error
    }
    if (!layerExists(home, id)) throw layerNotFound(id)
    for (const directory of [own, work, lock]) ensureDirectory(directory, 0o700)
  }
}

export function isCommitted({ committed }: LayerPaths): boolean {
  return existsSync(committed)
}

/** From now on the layer is only mounted for reading, and its format stays as it is. @throws GD_LAYER_NOT_FOUND */
export async function commit(home: string, id: LayerId, signal?: AbortSignal): Promise<void> {
  const paths = layerPaths(home, id)
  if (isCommitted(paths)) return
  using _ = await lockForm(home, id, 'exclusive', signal)
  writeFileSync(paths.committed, '', { flag: 'a', mode: 0o600 })
}

/** The changes of format of one home. The caller holds the layer's lock, exclusively. */
export class Forms {
  readonly #xattr: Xattr

  constructor(xattr: Xattr) {
    this.#xattr = xattr
  }

  /** Makes the layer's directory one for overlayfs to write in. */
  async toOverlay(paths: LayerPaths): Promise<void> {
    const { diff, form, aside } = paths
    if (formOf(paths) === 'overlay') return
    // Most layers are mounted for the first time, and have nothing in them.
    if (readdirSync(diff).length > 0) {
      writeFileSync(form, 'changing')
      await convert({ to: 'overlay', tree: diff, xattr: this.#xattr })
    }
    writeFileSync(form, 'overlay')
    if (existsSync(aside)) await convert({ to: 'back', tree: diff, aside })
  }

  /**
   * Lets `write` change the layer's directory with marks of overlayfs.
   *
   * @param keep says afterwards whether it has to stay as it is then
   */
  async inOverlay<T>(paths: LayerPaths, write: () => Promise<T>, keep: () => boolean): Promise<T> {
    await this.toOverlay(paths)
    let written: T
    try {
      written = await write()
    } catch (error) {
      // The first error says more; what this leaves undone, the next who comes does.
      if (!keep()) await this.toAufs(paths).catch(() => undefined)
      throw error
    }
    if (!keep()) await this.toAufs(paths)
    return written
  }

  /** Makes it AUFS's again. */
  async toAufs(paths: LayerPaths): Promise<void> {
    const { diff, form, aside } = paths
    const now = formOf(paths)
    if (now === 'aufs') return
    if (now === 'overlay') {
      mkdirSync(aside, { recursive: true, mode: 0o700 })
      await convert({ to: 'aside', tree: diff, aside })
      writeFileSync(form, 'changing')
    }
    await convert({ to: 'aufs', tree: diff, xattr: this.#xattr })
    rmSync(form, { force: true })
    removeEmpty(aside)
  }
}

/** With workers of its own: a layer may be put after its driver was closed. */
async function convert(step: Conversion): Promise<void> {
  await using workers = new TreeWorkers()
  await workers.convert(step)
}

/** Layers, of whatever process, that are not in AUFS's format now. */
export function changedLayers(home: string): readonly LayerId[] {
  return readdirSync(homePaths(home).forms).flatMap((name) => asLayerId(name) ?? [])
}

/** Whether any layer of a home is mounted by overlayfs. */
export function isAnyMounted(home: string): boolean {
  return readdirSync(homePaths(home).mounts).some((name) => {
    const id = asLayerId(name)
    return id !== undefined && isStackMounted(layerPaths(home, id).mount)
  })
}

function removeEmpty(directory: string): void {
  try {
    rmdirSync(directory)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'ENOTEMPTY', 'EEXIST')) throw error
  }
}
