import type { CreateOptions, LayerId, Quota } from '@graphdriver/core'
import { GraphDriverError } from '@graphdriver/core'
import type { Mutant } from '../mutant.ts'

function without(options: CreateOptions | undefined, option: string): CreateOptions {
  const entries = Object.entries(options?.storageOptions ?? {}).filter(([name]) => name !== option)
  return { ...options, storageOptions: Object.fromEntries(entries) }
}

const mebibyte = 1024 * 1024

export const quotaChangeMutants: readonly Mutant[] = [
  {
    does: 'takes a number of inodes and forgets it',
    caughtBy: ['quota/inodes'],
    breaks: (intact) => ({
      createReadWrite: (id, options) => intact.createReadWrite(id, without(options, 'inodes')),
    }),
  },
  {
    does: 'says that it limits no inodes, and takes them all the same',
    caughtBy: ['quota/inodes-refused-where-none'],
    breaks: (intact) => ({ capabilities: { ...intact.capabilities, inodeQuota: false } }),
  },
  {
    does: 'takes a malformed number of inodes for none',
    caughtBy: ['quota/malformed-inodes'],
    breaks: (intact) => ({
      createReadWrite(id, options) {
        const sound = /^[1-9]\d*$/.test(options?.storageOptions?.['inodes'] ?? '')
        return intact.createReadWrite(id, sound ? options : without(options, 'inodes'))
      },
    }),
  },
  {
    does: 'applies a new limit at the next mount, after a restart',
    caughtBy: ['quota/grown-while-mounted'],
    breaks: (intact) => ({ setQuota: (id) => intact.setQuota(id, {}) }),
  },
  {
    does: 'lifts the limit instead of raising it',
    caughtBy: ['quota/grown-while-mounted', 'quota/grown-is-kept'],
    breaks: (intact) => ({
      setQuota: (id, quota) =>
        intact.setQuota(id, quota.size === undefined ? quota : { size: 4 * quota.size }),
    }),
  },
  {
    does: 'notes a new limit in memory only',
    caughtBy: ['quota/grown-is-kept'],
    breaks: (intact) => {
      const wanted = new Map<LayerId, Quota>()
      return {
        async setQuota(id, quota) {
          await intact.usage(id)
          wanted.set(id, quota)
        },
        async get(id, options) {
          const quota = wanted.get(id)
          wanted.delete(id)
          if (quota !== undefined) await intact.setQuota(id, quota)
          return intact.get(id, options)
        },
      }
    },
  },
  {
    does: 'says that it has shrunk a layer, and has not',
    caughtBy: ['quota/shrunk'],
    breaks: (intact) => ({
      setQuota: (id, quota) => intact.setQuota(id, quota).catch(() => undefined),
    }),
  },
  {
    does: 'takes a limit of nothing for none',
    caughtBy: ['quota/malformed-change'],
    breaks: (intact) => ({
      setQuota: (id, quota) => intact.setQuota(id, Number(quota.size) > 0 ? quota : { size: 200 * mebibyte }),
    }),
  },
  {
    does: 'takes a limit for a layer that it cannot limit',
    caughtBy: ['quota/change-of-unlimited'],
    breaks: (intact) => ({
      async setQuota(id, quota) {
        if ((await intact.usage(id)) !== undefined) await intact.setQuota(id, quota)
      },
    }),
  },
  {
    does: 'counts what a layer shares with its parent, too, and never less',
    caughtBy: ['quota/usage'],
    breaks: (intact) => {
      let most = 0
      return {
        async usage(id) {
          const usage = await intact.usage(id)
          most = Math.max(most, usage?.bytes ?? 0)
          return usage === undefined ? undefined : { ...usage, bytes: most }
        },
      }
    },
  },
  {
    does: 'knows the usage only of what is mounted',
    caughtBy: ['quota/usage-unmounted'],
    breaks: (intact) => {
      const mounted = new Set<LayerId>()
      return {
        async get(id, options) {
          const mount = await intact.get(id, options)
          mounted.add(id)
          const put = async (): Promise<void> => {
            mounted.delete(id)
            await mount[Symbol.asyncDispose]()
          }
          return { ...mount, [Symbol.asyncDispose]: put }
        },
        usage: (id) => (mounted.has(id) ? intact.usage(id) : Promise.resolve({ bytes: 0 })),
      }
    },
  },
  {
    does: 'counts bytes alone',
    caughtBy: ['quota/usage-of-inodes'],
    breaks: (intact) => ({
      async usage(id) {
        const usage = await intact.usage(id)
        return usage === undefined ? undefined : { bytes: usage.bytes }
      },
    }),
  },
  {
    does: 'knows nothing of a layer that is not there, and says so in another way',
    caughtBy: ['quota/unknown-layer'],
    breaks: (intact) => ({
      async usage(id) {
        if (await intact.exists(id)) return intact.usage(id)
        throw new GraphDriverError('GD_INVALID_OPTION', `no layer ${id}`, { option: 'id' })
      },
    }),
  },
]
