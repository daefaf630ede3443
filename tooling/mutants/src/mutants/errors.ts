import { mkdirSync, renameSync, statSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError, isGraphDriverError, type LayerId } from '@graphdriver/core'
import { collect, inChunks } from '@graphdriver/core/conformance'
import type { Mutant } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'

/** Gives another error for one of this driver's own. */
async function translating<T>(
  action: () => Promise<T>,
  translate: (error: GraphDriverError) => unknown,
): Promise<T> {
  try {
    return await action()
  } catch (error) {
    throw isGraphDriverError(error) ? translate(error) : error
  }
}

function asMissingFile(error: GraphDriverError): unknown {
  return error.code === 'GD_LAYER_NOT_FOUND'
    ? Object.assign(new Error('ENOENT: no such file or directory'), { code: 'ENOENT' })
    : error
}

/** Everything that `remove` is asked to delete is kept in a place of its own. */
function keepRemoved(intact: ReferenceDriver, id: LayerId): void {
  const trash = path.join(intact.home, 'trash')
  mkdirSync(trash, { recursive: true })
  renameSync(path.dirname(intact.treeOf(id)), path.join(trash, `${id}-${process.hrtime.bigint()}`))
}

export const errorsMutants: readonly Mutant[] = [
  {
    does: 'says of a layer that is not there that a file is missing',
    caughtBy: [
      'errors/unknown-layer-get',
      'errors/unknown-layer-metadata',
      'errors/unknown-layer-diff',
      'errors/unknown-layer-changes',
      'errors/unknown-layer-diffSize',
      'errors/unknown-layer-applyDiff',
      'errors/unknown-base-diff',
      'errors/unknown-base-changes',
      'errors/unknown-base-diffSize',
    ],
    breaks: (intact) => ({
      get: (...args) => translating(() => intact.get(...args), asMissingFile),
      metadata: (...args) => translating(() => intact.metadata(...args), asMissingFile),
      changes: (...args) => translating(() => intact.changes(...args), asMissingFile),
      diffSize: (...args) => translating(() => intact.diffSize(...args), asMissingFile),
      applyDiff: (...args) => translating(() => intact.applyDiff(...args), asMissingFile),
      async *diff(...args) {
        yield await translating(() => collect(intact.diff(...args)), asMissingFile)
      },
    }),
  },
  {
    does: 'makes a base layer where the parent is not there',
    caughtBy: ['errors/unknown-parent', 'errors/nothing-beside-the-home'],
    breaks: (intact) => ({
      async create(id, { parent, ...options } = {}) {
        const isThere = parent !== undefined && (await intact.exists(parent))
        await intact.create(id, isThere ? { ...options, parent } : options)
      },
    }),
  },
  {
    does: 'makes a layer anew where its id is taken',
    caughtBy: ['errors/existing-layer'],
    breaks: (intact) => ({
      async create(id, options) {
        if (await intact.exists(id)) await intact.remove(id)
        await intact.create(id, options)
      },
    }),
  },
  {
    does: 'passes over storage options that it does not know',
    caughtBy: ['errors/unknown-storage-option'],
    breaks: (intact) => ({
      create: (id, options) => intact.create(id, { ...options, storageOptions: {} }),
    }),
  },
  {
    does: 'passes over options that it does not know',
    caughtBy: ['errors/unknown-driver-option'],
    redefines: () => ({ parse: () => ({}) }),
  },
  {
    does: 'says yes to every place',
    caughtBy: ['errors/probe-read-only', 'errors/open-read-only', 'errors/probe-file'],
    redefines: () => ({ probe: () => Promise.resolve({ supported: true, notes: [] }) }),
  },
  {
    does: 'says no without a remedy',
    caughtBy: ['errors/probe-read-only'],
    redefines: (intact) => ({
      async probe(host) {
        const answer = await intact.probe(host)
        return answer.supported ? answer : { supported: false, code: answer.code, reason: answer.reason }
      },
    }),
  },
  {
    does: 'does not ask its probe when it is opened',
    caughtBy: ['errors/open-read-only'],
    redefines: (intact) => ({
      async open(host) {
        mkdirSync(host.home, { recursive: true })
        return intact.open(host)
      },
    }),
  },
  {
    does: 'throws where the root is a file',
    caughtBy: ['errors/probe-file'],
    redefines: (intact) => ({
      async probe(host) {
        if (statSync(path.dirname(host.root), { throwIfNoEntry: false })?.isFile() === true)
          throw new Error('ENOTDIR')
        return intact.probe(host)
      },
    }),
  },
  {
    does: 'makes its home to see whether it can',
    caughtBy: ['errors/probe-leaves-nothing'],
    redefines: (intact) => ({
      async probe(host) {
        mkdirSync(host.home, { recursive: true })
        return intact.probe(host)
      },
    }),
  },
  {
    does: 'keeps what is removed in a place of its own',
    caughtBy: ['errors/full-disk-apply', 'errors/full-disk-write', 'errors/few-inodes-apply'],
    breaks: (intact) => ({
      async remove(id) {
        if (await intact.exists(id)) keepRemoved(intact, id)
      },
    }),
  },
  {
    does: 'says of a full disk that the tar is damaged',
    caughtBy: ['errors/full-disk-apply', 'errors/few-inodes-apply'],
    breaks: (intact) => ({
      async applyDiff(...args) {
        try {
          return await intact.applyDiff(...args)
        } catch (error) {
          if (!(error instanceof Error) || !('code' in error) || error.code !== 'ENOSPC') throw error
          throw new GraphDriverError('GD_ARCHIVE_INVALID', 'the tar is damaged', {}, { cause: error })
        }
      },
    }),
  },
  {
    does: 'wraps what the source of a tar throws',
    caughtBy: ['errors/source-error'],
    breaks: (intact) => ({
      async applyDiff(...args) {
        try {
          return await intact.applyDiff(...args)
        } catch (error) {
          throw new Error('the diff could not be applied', { cause: error })
        }
      },
    }),
  },
  {
    does: 'does not leave the source of a damaged tar',
    caughtBy: ['errors/source-left'],
    breaks: (intact) => ({
      applyDiff(id, parent, tar, options) {
        const chunks = tar[Symbol.asyncIterator]()
        const endless = { [Symbol.asyncIterator]: () => ({ next: () => chunks.next() }) }
        return intact.applyDiff(id, parent, endless, options)
      },
    }),
  },
  {
    does: 'cannot remove a layer whose diff was damaged',
    caughtBy: ['errors/failed-apply-reused', 'apply/damage-cut-in-data', 'abort/during-apply'],
    breaks(intact) {
      const broken = new Set<LayerId>()
      return {
        async applyDiff(id, ...rest) {
          broken.add(id)
          const size = await intact.applyDiff(id, ...rest)
          broken.delete(id)
          return size
        },
        async remove(id, options) {
          if (!broken.has(id)) await intact.remove(id, options)
        },
      }
    },
  },
  {
    does: 'breaks when it is called after cleanup',
    caughtBy: ['errors/after-cleanup'],
    breaks(intact) {
      let isOpen = true
      return {
        async cleanup() {
          isOpen = false
          await intact.cleanup()
        },
        async changes(...args) {
          if (!isOpen) throw new TypeError('cannot read properties of undefined')
          return intact.changes(...args)
        },
      }
    },
  },
  {
    does: 'writes a record beside its home when a call fails',
    caughtBy: ['errors/nothing-beside-the-home'],
    breaks: (intact) => ({
      async applyDiff(id, parent, tar, options) {
        const bytes = await collect(tar)
        try {
          return await intact.applyDiff(id, parent, inChunks(bytes), options)
        } catch (error) {
          mkdirSync(path.join(path.dirname(intact.home), `failed-${id}`), { recursive: true })
          throw error
        }
      },
    }),
  },
]
