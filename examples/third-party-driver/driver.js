// @ts-check
/**
 * A whole driver: what follows is all that a backend has to know how to do. The differences between layers come from
 * `naiveDiff`, which compares two trees.
 *
 * ```
 * <root>/copy-example/
 *   <id>/tree/      the layer, with all that is below it
 *   .graphdriver-layer-<random>/   a layer being made or deleted, so that an id never names half a layer
 * ```
 */
import { chmodSync, existsSync, mkdirSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { naiveDiff, TreeWorkers } from '@graphdriver/archive'
import { asLayerId, GraphDriverError, rejectUnknownOptions } from '@graphdriver/core'
import {
  AT_FDCWD,
  CommandError,
  isSystemError,
  makeScratch,
  moveToScratch,
  reapScratch,
  RENAME,
  renameat2,
  run,
  unmountTree,
} from '@graphdriver/sys'

/** @typedef {import('@graphdriver/core').Driver} Driver */
/** @typedef {import('@graphdriver/core').LayerId} LayerId */
/** @typedef {import('@graphdriver/core').CallOptions} CallOptions */
/** @typedef {import('@graphdriver/core').CreateOptions} CreateOptions */
/** @typedef {import('@graphdriver/core').TarStream} TarStream */

/** @implements {Driver} */
export class CopyDriver {
  name = 'copy-example'
  /** What is true of this driver, with degrees; the suite reads it, and so do selection and documentation. */
  capabilities = /** @type {import('@graphdriver/core').Capabilities} */ ({
    sharing: 'none',
    diff: { native: false, reason: 'whole trees are compared' },
    copyUp: 'none',
    maxDepth: Number.POSITIVE_INFINITY,
    timestamps: 'nanoseconds',
    xattrs: 'all',
    deviceNodes: true,
    ownership: 'any',
    quota: 'none',
    inodeQuota: false,
    mountLabel: false,
  })
  #workers = new TreeWorkers()
  /** Something was hidden and not wholly deleted; the next `remove` does it. */
  #leftovers = false

  /** @param {string} home */
  constructor(home) {
    this.home = home
    const diff = naiveDiff(this, this.#workers)
    this.diff = diff.diff
    this.changes = diff.changes
    this.applyDiff = diff.applyDiff
    this.diffSize = diff.diffSize
  }

  /** Deletes what a killed process was making or deleting. */
  async recover() {
    this.#leftovers = !(await reapScratch(this.home, 'layer', (left) => this.#discard(left.path)))
  }

  /** @param {LayerId} id @param {CreateOptions} [options] */
  async create(id, { parent, signal, storageOptions = {} } = {}) {
    rejectUnknownOptions(`copy-example: layer ${id}`, storageOptions, [])
    signal?.throwIfAborted()
    if (await this.exists(id)) throw alreadyThere(id)
    const source = parent === undefined ? undefined : this.#treeOf(parent)
    using scratch = makeScratch(this.home, 'layer', 0o710)
    try {
      const tree = path.join(scratch.path, 'tree')
      if (source === undefined) {
        mkdirSync(tree)
        // Not by the mode of mkdir, which the umask would narrow.
        chmodSync(tree, 0o755)
      } else {
        const flags = ['--archive', '--reflink=auto', '--no-target-directory']
        await run('cp', [...flags, source, tree], { signal })
      }
      // One rename gives the layer its name, whole or not at all, and exactly one of two who try.
      renameat2(AT_FDCWD, scratch.path, AT_FDCWD, path.join(this.home, id), RENAME.NOREPLACE)
    } catch (error) {
      await this.#discard(scratch.path)
      throw isSystemError(error, 'EEXIST') ? alreadyThere(id) : hostError(error)
    }
  }

  /** @param {LayerId} id @param {CreateOptions} [options] */
  createReadWrite(id, options) {
    return this.create(id, options)
  }

  /** @param {LayerId} id @param {CallOptions} [options] */
  async remove(id, { signal } = {}) {
    signal?.throwIfAborted()
    if (this.#leftovers) await this.recover()
    using dying = moveToScratch(path.join(this.home, id), 'layer')
    if (dying === undefined) return
    this.#leftovers = true
    await this.#discard(dying.path)
    this.#leftovers = false
  }

  /**
   * There is nothing to mount, so nothing to count. A driver that mounts has `MountReferences` count for it.
   *
   * @param {LayerId} id @param {CallOptions} [options]
   */
  async get(id, { signal } = {}) {
    signal?.throwIfAborted()
    return { id, path: this.#treeOf(id), readonly: false, [Symbol.asyncDispose]: () => Promise.resolve() }
  }

  /** Harmless for what is not mounted, which nothing ever is. */
  async put() {}

  /** @param {LayerId} id */
  async exists(id) {
    return existsSync(path.join(this.home, id, 'tree'))
  }

  /** @param {CallOptions} [options] */
  async *layers({ signal } = {}) {
    for (const name of readdirSync(this.home)) {
      signal?.throwIfAborted()
      const id = asLayerId(name)
      if (id !== undefined && (await this.exists(id))) yield id
    }
  }

  /** @returns {Promise<(readonly [string, string])[]>} */
  async status() {
    return [['Copies', 'by cp']]
  }

  /** @param {LayerId} id @returns {Promise<Record<string, string>>} */
  async metadata(id) {
    return { Tree: this.#treeOf(id) }
  }

  async cleanup() {
    await this.#workers[Symbol.asyncDispose]()
  }

  [Symbol.asyncDispose]() {
    return this.cleanup()
  }

  /** @param {LayerId} id */
  #treeOf(id) {
    const tree = path.join(this.home, id, 'tree')
    if (existsSync(tree)) return tree
    throw new GraphDriverError('GD_LAYER_NOT_FOUND', `copy-example holds no layer ${id}`, { id })
  }

  /** @param {string} directory */
  async #discard(directory) {
    unmountTree(directory)
    await this.#workers.remove(directory)
  }
}

/** @param {LayerId} id */
function alreadyThere(id) {
  return new GraphDriverError('GD_LAYER_EXISTS', `copy-example already holds a layer ${id}`, { id })
}

/** What a call says with a code, a program says in words; `run` sees to it that they are the C locale's. */
function hostError(/** @type {unknown} */ error) {
  if (!(error instanceof CommandError) || !error.stderr.includes('No space left on device')) return error
  return Object.assign(new Error(error.message, { cause: error }), { code: 'ENOSPC' })
}
