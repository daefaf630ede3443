import { existsSync, mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type CreateOptions, GraphDriverError, type LayerId } from '@graphdriver/core'
import { run } from '@graphdriver/sys'
import type { Mutant } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'

/** The filesystem of a layer with a size. */
function imageOf(intact: ReferenceDriver, id: LayerId): string {
  return path.join(path.dirname(intact.treeOf(id)), 'image')
}

/** Takes a layer's limit away, as if it had only ever been a mount option or a number in memory. */
async function lift(intact: ReferenceDriver, id: LayerId): Promise<void> {
  const image = imageOf(intact, id)
  if (!existsSync(image)) return
  truncateSync(image, 200 * 1024 * 1024)
  await run('resize2fs', ['-f', image])
}

function withSize(options: CreateOptions | undefined, size: string): CreateOptions {
  const { storageOptions, ...rest } = options ?? {}
  return storageOptions?.['size'] === undefined ? rest : { ...rest, storageOptions: { size } }
}

export const quotaMutants: readonly Mutant[] = [
  {
    does: 'says that it limits nothing, and takes sizes all the same',
    caughtBy: ['quota/refused-where-none'],
    breaks: (intact) => ({ capabilities: { ...intact.capabilities, quota: 'none' } }),
  },
  {
    does: 'refuses sizes without saying which option it was',
    caughtBy: ['quota/malformed-size'],
    breaks: (intact) => ({
      async createReadWrite(id, options) {
        if (options?.storageOptions?.['size'] !== undefined)
          throw new GraphDriverError('GD_INVALID_OPTION', `layer ${id}: bad request`, { option: '' })
        await intact.createReadWrite(id, options)
      },
    }),
  },
  {
    does: 'takes a malformed size for none',
    caughtBy: ['quota/malformed-size'],
    breaks: (intact) => ({
      async createReadWrite(id, options) {
        const size = options?.storageOptions?.['size'] ?? ''
        await intact.createReadWrite(id, /^\d+M$/.test(size) ? options : { ...options, storageOptions: {} })
      },
    }),
  },
  {
    does: 'ignores sizes',
    caughtBy: [
      'quota/limit',
      'quota/full-layer-recovers',
      'quota/own-sizes',
      'quota/after-remount',
      'quota/in-another-instance',
      'quota/ordinary-user',
    ],
    breaks: (intact) => ({
      createReadWrite: (id, options) => intact.createReadWrite(id, { ...options, storageOptions: {} }),
    }),
  },
  {
    does: 'gives every layer the size of the first',
    caughtBy: ['quota/own-sizes'],
    breaks: (intact) => {
      let first: string | undefined
      return {
        createReadWrite(id, options) {
          first ??= options?.storageOptions?.['size']
          return intact.createReadWrite(id, first === undefined ? options : withSize(options, first))
        },
      }
    },
  },
  {
    does: 'limits the siblings of a layer with a size too',
    caughtBy: ['quota/others-unlimited'],
    breaks: (intact) => {
      let last: string | undefined
      return {
        createReadWrite(id, options) {
          last = options?.storageOptions?.['size'] ?? last
          const size = last === undefined ? {} : { storageOptions: { size: last } }
          return intact.createReadWrite(id, { ...options, ...size })
        },
      }
    },
  },
  {
    does: 'forgets the size when the layer is unmounted',
    caughtBy: ['quota/after-remount'],
    breaks: (intact) => {
      const mounted = new Set<LayerId>()
      return {
        async get(id, options) {
          if (mounted.has(id)) await lift(intact, id)
          mounted.add(id)
          return intact.get(id, options)
        },
      }
    },
  },
  {
    does: 'keeps sizes in memory only',
    caughtBy: ['quota/in-another-instance'],
    breaks: (intact) => {
      const made = new Set<LayerId>()
      return {
        createReadWrite(id, options) {
          made.add(id)
          return intact.createReadWrite(id, options)
        },
        async get(id, options) {
          if (!made.has(id)) await lift(intact, id)
          return intact.get(id, options)
        },
      }
    },
  },
  {
    does: 'starts layers with a size empty',
    caughtBy: ['quota/starts-as-parent'],
    breaks: (intact) => ({
      createReadWrite: (id, { parent, ...rest } = {}) =>
        intact.createReadWrite(id, rest.storageOptions === undefined ? { ...rest, parent } : rest),
    }),
  },
  {
    does: 'leaves the filesystem’s own directory in layers with a size',
    caughtBy: ['quota/diff'],
    breaks: (intact) => ({
      async createReadWrite(id, options) {
        await intact.createReadWrite(id, options)
        await using mount = await intact.get(id)
        mkdirSync(path.join(mount.path, 'lost+found'))
      },
    }),
  },
  {
    does: 'removes lost+found at each mount',
    caughtBy: ['quota/content-kept'],
    breaks: (intact) => ({
      async get(id, options) {
        const mount = await intact.get(id, options)
        rmSync(path.join(mount.path, 'lost+found'), { recursive: true, force: true })
        return mount
      },
    }),
  },
  {
    does: 'leaves a record of each limit behind',
    caughtBy: ['quota/removed'],
    breaks: (intact) => ({
      async createReadWrite(id, options) {
        await intact.createReadWrite(id, options)
        if (existsSync(imageOf(intact, id))) writeFileSync(path.join(intact.home, `limit-${id}`), '')
      },
    }),
  },
]
