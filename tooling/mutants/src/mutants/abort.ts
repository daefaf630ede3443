import { mkdirSync } from 'node:fs'
import path from 'node:path'
import type { CallOptions } from '@graphdriver/core'
import { collect } from '@graphdriver/core/conformance'
import type { Mutant } from '../mutant.ts'

/** The same options without the signal. */
function deaf<T extends CallOptions>(options: T | undefined): T | undefined {
  if (options === undefined) return undefined
  return { ...options, signal: undefined }
}

/** What is not the reason of the signal, but says something like it. */
async function asAbortError<T>(action: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (signal?.aborted !== true) throw error
    throw new Error('the call was aborted', { cause: error })
  }
}

const never = (): void => undefined

export const abortMutants: readonly Mutant[] = [
  {
    does: 'does not look at signals',
    caughtBy: [
      'abort/before-create',
      'abort/before-createReadWrite',
      'abort/before-remove',
      'abort/before-get',
      'abort/before-layers',
      'abort/before-diff',
      'abort/before-changes',
      'abort/before-diffSize',
      'abort/before-applyDiff',
      'abort/during-apply',
      'abort/during-diff',
      'abort/during-layers',
      'abort/one-of-two',
      'abort/reason-error',
      'abort/reason-text',
      'abort/reason-none',
    ],
    breaks: (intact) => ({
      create: (id, options) => intact.create(id, deaf(options)),
      createReadWrite: (id, options) => intact.createReadWrite(id, deaf(options)),
      remove: (id) => intact.remove(id),
      get: (id, options) => intact.get(id, deaf(options)),
      layers: () => intact.layers(),
      diff: (id, parent) => intact.diff(id, parent),
      changes: (id, parent) => intact.changes(id, parent),
      diffSize: (id, parent) => intact.diffSize(id, parent),
      applyDiff: (id, parent, tar) => intact.applyDiff(id, parent, tar),
    }),
  },
  {
    does: 'does the work and looks at the signal then',
    caughtBy: ['abort/before-create', 'abort/before-remove', 'abort/before-applyDiff'],
    breaks: (intact) => ({
      async create(id, options) {
        await intact.create(id, deaf(options))
        options?.signal?.throwIfAborted()
      },
      async remove(id, options) {
        await intact.remove(id)
        options?.signal?.throwIfAborted()
      },
      async applyDiff(id, parent, tar, options) {
        const size = await intact.applyDiff(id, parent, tar)
        options?.signal?.throwIfAborted()
        return size
      },
    }),
  },
  {
    does: 'makes an error of its own of the reason of a signal',
    caughtBy: [
      'abort/during-apply',
      'abort/during-apply-of-a-silent-source',
      'abort/reason-error',
      'abort/reason-text',
      'abort/reason-none',
    ],
    breaks: (intact) => ({
      applyDiff: (id, parent, tar, options) =>
        asAbortError(() => intact.applyDiff(id, parent, tar, options), options?.signal),
    }),
  },
  {
    does: 'ends a diff that is aborted as if it were whole',
    caughtBy: ['abort/during-diff'],
    breaks: (intact) => ({
      async *diff(id, parent, options) {
        try {
          yield* intact.diff(id, parent, options)
        } catch (error) {
          if (options?.signal?.aborted !== true) throw error
        }
      },
    }),
  },
  {
    does: 'leaves half of a layer that could not be made, for whatever reason',
    caughtBy: ['abort/during-create', 'abort/before-create', 'errors/full-disk-create'],
    breaks: (intact) => ({
      async create(id, options) {
        try {
          await intact.create(id, options)
        } catch (error) {
          mkdirSync(path.dirname(intact.treeOf(id)), { recursive: true })
          throw error
        }
      },
    }),
  },
  {
    does: 'leaves a listener on the signal of each call',
    caughtBy: ['abort/no-listeners-left'],
    breaks: (intact) => ({
      changes(id, parent, options) {
        options?.signal?.addEventListener('abort', never)
        return intact.changes(id, parent, options)
      },
    }),
  },
  {
    does: 'removes a layer when the signal of its creation is aborted later',
    caughtBy: ['abort/aborted-afterwards'],
    breaks: (intact) => ({
      async create(id, options) {
        await intact.create(id, options)
        const remove = (): void => void intact.remove(id).catch(() => undefined)
        options?.signal?.addEventListener('abort', remove, { once: true })
      },
    }),
  },
  {
    does: 'stops every diff that is being applied when one is aborted',
    caughtBy: ['abort/one-of-two'],
    breaks(intact) {
      const all = new AbortController()
      return {
        async applyDiff(id, parent, tar, options) {
          options?.signal?.addEventListener('abort', () => all.abort(options.signal?.reason), { once: true })
          return intact.applyDiff(id, parent, tar, { signal: all.signal })
        },
      }
    },
  },
  {
    does: 'reads all of a diff before it looks at the signal',
    caughtBy: ['abort/before-diff', 'abort/during-diff'],
    breaks: (intact) => ({
      async *diff(id, parent) {
        yield await collect(intact.diff(id, parent))
      },
    }),
  },
]
