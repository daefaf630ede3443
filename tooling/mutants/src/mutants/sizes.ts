import { lstatSync, type Stats } from 'node:fs'
import path from 'node:path'
import type { Change, Driver, LayerId } from '@graphdriver/core'
import { collect, readTar } from '@graphdriver/core/conformance'
import { isSystemError } from '@graphdriver/sys'
import type { Mutant } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'

type Breaks = NonNullable<Mutant['breaks']>

/** What a change is about, in the layer and in the tree that it is compared with. */
interface Changed {
  readonly kind: Change['kind']
  readonly path: string
  readonly after: Stats | undefined
  readonly before: Stats | undefined
}

/** Undefined also where a file has come to be a directory, or the other way. */
function statIn(intact: ReferenceDriver, id: LayerId | undefined, name: string): Stats | undefined {
  try {
    return id === undefined ? undefined : lstatSync(path.join(intact.treeOf(id), name))
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
    throw error
  }
}

/** Adds something to the true size for each change. */
function adds(amount: (changed: Changed) => number): Breaks {
  return (intact) => ({
    async diffSize(id, parent, options) {
      let size = await intact.diffSize(id, parent, options)
      for (const { kind, path: name } of await intact.changes(id, parent, options)) {
        const [after, before] = [statIn(intact, id, name), statIn(intact, parent, name)]
        size += amount({ kind, path: name, after, before })
      }
      return size
    },
  })
}

/** Another size of each file that changed than its own; of a file with several names once per name. */
function weighs(size: (file: Stats, before: Stats | undefined) => number): Breaks {
  return (intact) => ({
    async diffSize(id, parent, options) {
      const changes = await intact.changes(id, parent, options)
      return changes
        .map(({ path: name }) => [statIn(intact, id, name), statIn(intact, parent, name)] as const)
        .reduce((sum, [after, before]) => sum + (after?.isFile() === true ? size(after, before) : 0), 0)
    },
  })
}

function returns(
  size: (applied: number, intact: ReferenceDriver, id: LayerId) => number | Promise<number>,
): Breaks {
  return (intact) => ({
    applyDiff: async (id, parent, tar, options) =>
      size(await intact.applyDiff(id, parent, tar, options), intact, id),
  })
}

const isDirectory = (stat: Stats | undefined): boolean => stat?.isDirectory() === true

export const sizesMutants: readonly Mutant[] = [
  {
    does: 'says the size of all that a layer shows',
    caughtBy: [
      'sizes/nothing',
      'sizes/own-content-only',
      'sizes/rewritten',
      'sizes/renamed',
      'sizes/another-instance',
      'sizes/as-compared',
    ],
    breaks: (intact) => ({ diffSize: (id, _, options) => intact.diffSize(id, undefined, options) }),
  },
  {
    does: 'compares a layer with its own parent, whatever it is asked',
    caughtBy: ['sizes/whole-without-parent', 'sizes/above-grandparent', 'sizes/deletions'],
    breaks: (intact) => {
      const parents = new Map<LayerId, LayerId>()
      return {
        async create(id, options) {
          await intact.create(id, options)
          if (options?.parent !== undefined) parents.set(id, options.parent)
        },
        diffSize: (id, _, options) => intact.diffSize(id, parents.get(id), options),
      }
    },
  },
  {
    does: 'counts whole blocks of 512 bytes',
    caughtBy: ['sizes/sum-of-files', 'sizes/own-content-only', 'sizes/hundred-names'],
    breaks: (intact) => ({
      diffSize: async (...args) => Math.ceil((await intact.diffSize(...args)) / 512) * 512,
    }),
  },
  {
    does: 'counts the space that files take',
    caughtBy: ['sizes/above-4-gib', 'sizes/sum-of-files'],
    breaks: weighs((file) => file.blocks * 512),
  },
  {
    does: 'counts sizes in 32 bits',
    caughtBy: ['sizes/above-4-gib'],
    breaks: (intact) => ({ diffSize: async (...args) => (await intact.diffSize(...args)) % 2 ** 32 }),
  },
  {
    does: 'counts directories',
    caughtBy: ['sizes/without-content', 'sizes/directory-mode-changed'],
    breaks: adds(({ after }) => (isDirectory(after) ? 4096 : 0)),
  },
  {
    does: 'counts a byte for each pipe',
    caughtBy: ['sizes/without-content'],
    breaks: adds(({ after }) => (after?.isFIFO() === true ? 1 : 0)),
  },
  {
    does: 'counts what is in a directory that changed',
    caughtBy: ['sizes/directory-mode-changed'],
    breaks: (intact) => ({
      async diffSize(id, parent, options) {
        const changes = await intact.changes(id, parent, options)
        return changes.some(
          ({ kind, path: name }) => kind === 'modify' && isDirectory(statIn(intact, id, name)),
        )
          ? intact.diffSize(id, undefined, options)
          : intact.diffSize(id, parent, options)
      },
    }),
  },
  {
    does: 'takes off the sizes of what was deleted',
    caughtBy: ['sizes/deletions', 'sizes/renamed'],
    breaks: adds(({ kind, before }) => (kind === 'delete' ? -(before?.size ?? 0) : 0)),
  },
  {
    does: 'counts what was deleted',
    caughtBy: ['sizes/deletions'],
    breaks: adds(({ kind, before }) => (kind === 'delete' ? (before?.size ?? 0) : 0)),
  },
  {
    does: 'counts every name of a file',
    caughtBy: ['sizes/hard-links-once', 'sizes/hundred-names', 'sizes/as-compared'],
    breaks: weighs((file) => file.size),
  },
  {
    does: 'does not count files with several names',
    caughtBy: ['sizes/link-to-lower-file', 'sizes/hard-links-once', 'sizes/hundred-names'],
    breaks: weighs((file) => (file.nlink > 1 ? 0 : file.size)),
  },
  {
    does: 'counts by how much files grew',
    caughtBy: ['sizes/appended', 'sizes/rewritten', 'sizes/mode-changed'],
    breaks: weighs((file, before) => Math.max(0, file.size - (before?.size ?? 0))),
  },
  {
    does: 'counts files only when their content changed',
    caughtBy: ['sizes/mode-changed', 'sizes/as-compared'],
    breaks: weighs((file, before) =>
      file.size === before?.size && file.mtimeMs === before.mtimeMs ? 0 : file.size,
    ),
  },
  {
    does: 'never counts down',
    caughtBy: ['sizes/made-and-removed'],
    breaks: (intact) => {
      const largest = new Map<LayerId, number>()
      const diffSize: Driver['diffSize'] = async (id, ...rest) => {
        const size = Math.max(await intact.diffSize(id, ...rest), largest.get(id) ?? 0)
        largest.set(id, size)
        return size
      }
      return { diffSize }
    },
  },
  {
    does: 'remembers a size that it once gave',
    caughtBy: ['sizes/while-mounted', 'sizes/made-and-removed'],
    breaks: (intact) => {
      const known = new Map<LayerId, number>()
      const diffSize: Driver['diffSize'] = async (id, ...rest) => {
        const size = known.get(id) ?? (await intact.diffSize(id, ...rest))
        known.set(id, size)
        return size
      }
      return { diffSize }
    },
  },
  {
    does: 'knows the sizes only of layers that it made itself',
    caughtBy: ['sizes/another-instance'],
    breaks: (intact) => {
      const own = new Set<LayerId>()
      return {
        async create(id, options) {
          await intact.create(id, options)
          own.add(id)
        },
        diffSize: async (id, ...rest) => (own.has(id) ? intact.diffSize(id, ...rest) : 0),
      }
    },
  },
  {
    does: 'returns the length of the tar that it applied',
    caughtBy: ['sizes/applied', 'sizes/applied-hard-links', 'sizes/applied-and-looked-at'],
    breaks: (intact) => ({
      async applyDiff(id, parent, tar, options) {
        const bytes = await collect(tar)
        await intact.applyDiff(id, parent, once(bytes), options)
        return bytes.length
      },
    }),
  },
  {
    does: 'returns the sum of the sizes in the headers that it applied',
    caughtBy: ['sizes/applied-twice-listed'],
    breaks: (intact) => ({
      async applyDiff(id, parent, tar, options) {
        const bytes = await collect(tar)
        await intact.applyDiff(id, parent, once(bytes), options)
        return (await readTar(bytes)).reduce((sum, { size }) => sum + size, 0)
      },
    }),
  },
  {
    does: 'returns the size of all that it applied a diff to',
    caughtBy: ['sizes/applied-and-looked-at', 'sizes/applied-whiteouts'],
    breaks: returns((_, intact, id) => intact.diffSize(id, undefined)),
  },
  {
    does: 'counts a hard link that it applied as a file',
    caughtBy: ['sizes/applied-hard-links', 'sizes/applied-and-looked-at'],
    breaks: (intact) => ({
      async applyDiff(id, parent, tar, options) {
        const bytes = await collect(tar)
        const size = await intact.applyDiff(id, parent, once(bytes), options)
        return (await readTar(bytes)).reduce(
          (sum, { type, link }) => sum + (type === 'link' ? (statIn(intact, id, link)?.size ?? 0) : 0),
          size,
        )
      },
    }),
  },
  {
    does: 'returns by how much a layer grew when it applied a diff',
    caughtBy: ['sizes/applied', 'sizes/applied-whiteouts'],
    breaks: (intact) => ({
      async applyDiff(id, parent, tar, options) {
        const before = await intact.diffSize(id, undefined)
        await intact.applyDiff(id, parent, tar, options)
        return (await intact.diffSize(id, undefined)) - before
      },
    }),
  },
]

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, void> {
  yield bytes
}
