import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { Driver, LayerId } from '@graphdriver/core'
import { GraphDriverError, isGraphDriverError } from '@graphdriver/core'
import type { Mutant } from '../mutant.ts'
import { type ReferenceDriver, referenceDepth } from '../reference.ts'

type Break = NonNullable<Mutant['breaks']>

/** The layers below one, nearest first. */
type Lineage = (id: LayerId) => readonly LayerId[]

/** Layers with ancestors that are not quite made: `damage` is done after each was created. */
function damagesDescendants(
  damage: (intact: ReferenceDriver, id: LayerId, below: readonly LayerId[]) => void,
): Break {
  return (intact) => {
    const [lineage, create] = remembersLineage(intact)
    const damaged: Driver['create'] = async (id, options) => {
      await create(id, options)
      damage(intact, id, lineage(id))
    }
    return { create: damaged, createReadWrite: damaged }
  }
}

function remembersLineage(intact: ReferenceDriver): readonly [Lineage, Driver['create']] {
  const parents = new Map<LayerId, LayerId>()
  const lineage: Lineage = (id) => {
    const parent = parents.get(id)
    return parent === undefined ? [] : [parent, ...lineage(parent)]
  }
  return [
    lineage,
    async (id, options) => {
      await intact.create(id, options)
      if (options?.parent !== undefined) parents.set(id, options.parent)
    },
  ]
}

/** Stacks of which the names of all layers, each made longer by `extra`, are more than `limit` are not mounted. */
function limitsNames(limit: number, extra: (intact: ReferenceDriver) => number): Break {
  return (intact) => {
    const [lineage, create] = remembersLineage(intact)
    return {
      create,
      async get(id, options) {
        const length = [id, ...lineage(id)].reduce((sum, name) => sum + name.length + extra(intact), 0)
        if (length > limit) throw new RangeError(`${length} bytes of options are more than a page`)
        return intact.get(id, options)
      },
    }
  }
}

/** What happens instead when a layer is refused for its depth. */
function onRefusal(
  refuse: (
    intact: ReferenceDriver,
    id: LayerId,
    parent: LayerId,
    error: GraphDriverError<'GD_MAX_DEPTH'>,
  ) => void,
): Break {
  return (intact) => {
    const create: Driver['create'] = async (id, options) => {
      try {
        await intact.create(id, options)
      } catch (error) {
        if (isGraphDriverError(error, 'GD_MAX_DEPTH') && options?.parent !== undefined)
          refuse(intact, id, options.parent, error)
        throw error
      }
    }
    return { create, createReadWrite: create }
  }
}

export const depthMutants: readonly Mutant[] = [
  {
    does: 'shows only the nearest thirty layers',
    caughtBy: ['depth/deep-read', 'depth/maximum'],
    breaks: damagesDescendants((intact, id, below) => {
      const lost = below[30]
      if (lost === undefined) return
      for (const name of readdirSync(intact.treeOf(lost))) {
        rmSync(path.join(intact.treeOf(id), name), { recursive: true, force: true })
      }
    }),
  },
  {
    does: 'puts the grandparent over the parent',
    caughtBy: ['depth/own-version', 'depth/flat-copy', 'depth/echo'],
    breaks: (intact) => {
      const [lineage, create] = remembersLineage(intact)
      return {
        create,
        async get(id, options) {
          // Once somebody has written to it, it is as it is.
          const [parent, grandparent] = lineage(id)
          const seen = path.join(intact.treeOf(id), '../seen')
          if (parent !== undefined && grandparent !== undefined && !existsSync(seen)) {
            cpSync(intact.treeOf(grandparent), intact.treeOf(id), {
              recursive: true,
              preserveTimestamps: true,
            })
            writeFileSync(seen, '')
          }
          return intact.get(id, options)
        },
      }
    },
  },
  {
    does: 'brings back what was deleted more than five layers below',
    caughtBy: ['depth/long-names', 'depth/flat-copy', 'depth/echo'],
    breaks: damagesDescendants((intact, id, below) => {
      const revived = below[5]
      if (revived === undefined) return
      const [from, to] = [intact.treeOf(revived), intact.treeOf(id)]
      cpSync(from, to, { recursive: true, force: false, preserveTimestamps: true })
    }),
  },
  {
    does: 'mounts no stack whose names fill half a page',
    caughtBy: ['depth/long-names'],
    breaks: limitsNames(2047, () => 1),
  },
  {
    does: 'mounts no stack whose paths fill four pages',
    caughtBy: ['depth/long-root'],
    breaks: limitsNames(16_383, ({ home }) => home.length),
  },
  {
    does: 'refuses the deepest layer that it says it can mount',
    caughtBy: ['depth/maximum', 'depth/deepest-usable', 'depth/one-too-many'],
    breaks: (intact) => ({ capabilities: { ...intact.capabilities, maxDepth: referenceDepth + 1 } }),
  },
  {
    does: 'makes layers that are too deep to be mounted',
    caughtBy: ['depth/one-too-many', 'depth/deepest-usable'],
    breaks: (intact) => ({ capabilities: { ...intact.capabilities, maxDepth: referenceDepth - 1 } }),
  },
  {
    does: 'says the depth of the parent where it refuses a layer',
    caughtBy: ['depth/one-too-many'],
    breaks: onRefusal((_intact, _id, _parent, { message, details }) => {
      throw new GraphDriverError('GD_MAX_DEPTH', message, { ...details, depth: details.depth - 1 })
    }),
  },
  {
    does: 'leaves the directory of a layer that it refuses',
    caughtBy: ['depth/one-too-many'],
    breaks: onRefusal((intact, id) => mkdirSync(intact.treeOf(id), { recursive: true })),
  },
  {
    does: 'takes a parent for committed before it refuses the child',
    caughtBy: ['depth/deepest-usable'],
    breaks: (intact) => {
      const committed = new Set<LayerId>()
      return {
        async create(id, options) {
          if (options?.parent !== undefined) committed.add(options.parent)
          await intact.create(id, options)
        },
        async get(id, options) {
          const mounted = await intact.get(id, options)
          return { ...mounted, readonly: committed.has(id) }
        },
      }
    },
  },
  {
    does: 'takes all layers for one stack',
    caughtBy: ['depth/width-is-not-depth'],
    breaks: (intact) => {
      let made = 0
      return {
        async create(id, options) {
          if (++made > referenceDepth) {
            const details = { id, depth: made, limit: referenceDepth }
            throw new GraphDriverError('GD_MAX_DEPTH', `layer ${id} is the ${made}th`, details)
          }
          await intact.create(id, options)
        },
      }
    },
  },
]
