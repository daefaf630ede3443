// @ts-check
/**
 * A whole driver: what follows is all that a backend has to know how to do. The differences between layers come from
 * `naiveDiff`, which compares two mounted trees.
 *
 * ```
 * <root>/fuse-example/
 *   <id>/diff/      the layer's own changes
 *   <id>/lower      the layers below, nearest first, an id per line; absent in a base layer
 *   <id>/work/      fuse-overlayfs' scratch space
 *   <id>/merged/    where the stack is mounted; there only while it is
 *   .graphdriver-layer-<random>/   a layer being made or deleted, so that an id never names half a layer
 * ```
 */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import { copyDirectoryAttributes, naiveDiff, TreeWorkers } from '@graphdriver/archive'
import { asLayerId, GraphDriverError, MountReferences, rejectUnknownOptions } from '@graphdriver/core'
import {
  AT_FDCWD,
  isMountPoint,
  isSystemError,
  makeScratch,
  MNT,
  moveToScratch,
  reapScratch,
  RENAME,
  renameat2,
  run,
  umount,
  unmountTree,
} from '@graphdriver/sys'

/** @typedef {import('@graphdriver/core').LayerId} LayerId */
/** @typedef {import('@graphdriver/core').CallOptions} CallOptions */
/** @typedef {import('@graphdriver/core').CreateOptions} CreateOptions */
/** @typedef {import('@graphdriver/core').TarStream} TarStream */

const maxDepth = 100

/** @implements {import('@graphdriver/core').Driver} */
export class FuseDriver {
  name = 'fuse-example'
  /** What is true of this driver, with degrees; the suite reads it, and so do selection and documentation. */
  capabilities = /** @type {import('@graphdriver/core').Capabilities} */ ({
    sharing: 'files',
    diff: { native: false, reason: 'mounted trees are compared' },
    copyUp: 'file',
    maxDepth,
    timestamps: 'nanoseconds',
    xattrs: 'all',
    deviceNodes: true,
    ownership: 'any',
    quota: 'none',
    mountLabel: false,
  })
  #workers = new TreeWorkers()
  #references = new MountReferences(isMountPoint)

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
    await reapScratch(this.home, 'layer', (left) => this.#discard(left.path))
  }

  /** @param {LayerId} id @param {CreateOptions} [options] */
  async create(id, { parent, signal, storageOptions = {} } = {}) {
    rejectUnknownOptions(`fuse-example: layer ${id}`, storageOptions, [])
    signal?.throwIfAborted()
    if (await this.exists(id)) throw alreadyThere(id)
    const lower = parent === undefined ? [] : [parent, ...this.#lowerOf(parent)]
    if (lower.length >= maxDepth) throw tooDeep(id, lower.length + 1)
    using scratch = makeScratch(this.home, 'layer', 0o710)
    try {
      const diff = path.join(scratch.path, 'diff')
      mkdirSync(diff)
      chmodSync(diff, 0o755)
      if (parent !== undefined) {
        copyDirectoryAttributes(this.#at(parent, 'diff'), diff)
        mkdirSync(path.join(scratch.path, 'work'))
        writeFileSync(path.join(scratch.path, 'lower'), lower.join('\n'))
      }
      // One rename gives the layer its name, whole or not at all, and exactly one of two who try.
      renameat2(AT_FDCWD, scratch.path, AT_FDCWD, this.#at(id), RENAME.NOREPLACE)
    } catch (error) {
      await this.#discard(scratch.path)
      throw isSystemError(error, 'EEXIST') ? alreadyThere(id) : error
    }
  }

  /** @param {LayerId} id @param {CreateOptions} [options] */
  createReadWrite(id, options) {
    return this.create(id, options)
  }

  /** @param {LayerId} id @param {CallOptions} [options] */
  async remove(id, { signal } = {}) {
    signal?.throwIfAborted()
    const target = this.#at(id, 'merged')
    await this.#references.forget(target, () => unmount(target))
    using dying = moveToScratch(this.#at(id), 'layer')
    if (dying !== undefined) await this.#discard(dying.path)
  }

  /** @param {LayerId} id @param {CallOptions} [options] */
  async get(id, { signal } = {}) {
    signal?.throwIfAborted()
    const lower = this.#lowerOf(id)
    if (lower.length === 0) return mountOf(id, this.#at(id, 'diff'), async () => undefined)
    const target = this.#at(id, 'merged')
    await this.#references.acquire(target, async () => {
      mkdirSync(target, { recursive: true })
      const below = lower.map((layer) => this.#at(layer, 'diff')).join(':')
      const options = `lowerdir=${below},upperdir=${this.#at(id, 'diff')},workdir=${this.#at(id, 'work')}`
      await run('fuse-overlayfs', ['-o', options, target])
    })
    return mountOf(id, target, () => this.put(id))
  }

  /** @param {LayerId} id */
  async put(id) {
    const target = this.#at(id, 'merged')
    await this.#references.release(target, () => unmount(target))
  }

  /** @param {LayerId} id */
  async exists(id) {
    return existsSync(this.#at(id, 'diff'))
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
    return [['Mount Program', 'fuse-overlayfs']]
  }

  /** @param {LayerId} id @returns {Promise<Record<string, string>>} */
  async metadata(id) {
    this.#lowerOf(id)
    return { UpperDir: this.#at(id, 'diff') }
  }

  async cleanup() {
    await this.#workers[Symbol.asyncDispose]()
  }

  [Symbol.asyncDispose]() {
    return this.cleanup()
  }

  /** @param {LayerId} id @param {string[]} names */
  #at(id, ...names) {
    return path.join(this.home, id, ...names)
  }

  /** The layers below, nearest first. @param {LayerId} id @returns {LayerId[]} */
  #lowerOf(id) {
    if (!existsSync(this.#at(id, 'diff')))
      throw new GraphDriverError('GD_LAYER_NOT_FOUND', `fuse-example holds no layer ${id}`, { id })
    const file = this.#at(id, 'lower')
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
    return lines.flatMap((line) => asLayerId(line) ?? [])
  }

  /** @param {string} directory */
  async #discard(directory) {
    unmountTree(directory)
    await this.#workers.remove(directory)
  }
}

/** Disposing a mount is `put`; twice is once. @param {LayerId} id @param {string} at @param {() => Promise<void>} put */
function mountOf(id, at, put) {
  let held = true
  return {
    id,
    path: at,
    readonly: false,
    async [Symbol.asyncDispose]() {
      if (!held) return
      held = false
      await put()
    },
  }
}

/** Not mounted is success. @param {string} target */
function unmount(target) {
  try {
    umount(target, MNT.DETACH | MNT.NOFOLLOW)
  } catch (error) {
    if (!isSystemError(error, 'EINVAL', 'ENOENT')) throw error
  }
  try {
    rmdirSync(target)
  } catch (error) {
    if (!isSystemError(error, 'ENOENT', 'EBUSY', 'ENOTEMPTY')) throw error
  }
}

/** @param {LayerId} id */
function alreadyThere(id) {
  return new GraphDriverError('GD_LAYER_EXISTS', `fuse-example already holds a layer ${id}`, { id })
}

/** @param {LayerId} id @param {number} depth */
function tooDeep(id, depth) {
  const message = `layer ${id} would be the ${depth}th of its stack, and fuse-example mounts ${maxDepth}`
  return new GraphDriverError('GD_MAX_DEPTH', message, { id, depth, limit: maxDepth })
}
