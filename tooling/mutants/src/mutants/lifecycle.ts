import { chmodSync, existsSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError, type LayerId, parseLayerId } from '@graphdriver/core'
import { damagesChildren, type Mutant } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'

/** The id that a driver uses instead of the one it is given. */
function renames(
  intact: ReferenceDriver,
  rename: (id: string) => string,
): ReturnType<NonNullable<Mutant['breaks']>> {
  const to = (id: LayerId): LayerId => parseLayerId(rename(id))
  return {
    create: (id, options) => intact.create(to(id), options),
    exists: (id) => intact.exists(to(id)),
    get: (id, options) => intact.get(to(id), options),
    put: (id) => intact.put(to(id)),
    remove: (id, options) => intact.remove(to(id), options),
  }
}

export const lifecycleMutants: readonly Mutant[] = [
  {
    does: 'leaves lost+found in every new layer',
    caughtBy: ['lifecycle/empty-layer', 'lifecycle/bases-apart', 'lifecycle/id-reused'],
    breaks: (intact) => ({
      async create(id, options) {
        await intact.create(id, options)
        writeFileSync(path.join(intact.treeOf(id), 'lost+found'), '')
      },
    }),
  },
  {
    does: 'lets the umask narrow the mode of new layers',
    caughtBy: ['lifecycle/umask'],
    breaks: (intact) => ({
      async create(id, options) {
        await intact.create(id, options)
        chmodSync(intact.treeOf(id), 0o755 & ~process.umask())
      },
    }),
  },
  {
    does: 'says that every layer exists',
    caughtBy: ['lifecycle/exists', 'lifecycle/removed'],
    breaks: () => ({ exists: () => Promise.resolve(true) }),
  },
  {
    does: 'starts children empty',
    caughtBy: [
      'lifecycle/child-starts-as-parent',
      'lifecycle/grandchild-starts-as-grandparent',
      'lifecycle/read-write-layer',
      'lifecycle/many-children',
      'lifecycle/siblings-apart',
      'lifecycle/child-of-mounted-parent',
    ],
    breaks: damagesChildren((tree) => {
      for (const name of readdirSync(tree)) rmSync(path.join(tree, name), { recursive: true })
    }),
  },
  {
    does: 'gives the root of a child mode 0755',
    caughtBy: ['lifecycle/root-mode-inherited'],
    breaks: damagesChildren((tree) => chmodSync(tree, 0o755)),
  },
  {
    does: 'drops the set-id and sticky bits when a layer is unmounted',
    caughtBy: ['lifecycle/attributes-kept'],
    breaks: (intact) => ({
      async get(id, options) {
        const mount = await intact.get(id, options)
        return {
          ...mount,
          async [Symbol.asyncDispose]() {
            await mount[Symbol.asyncDispose]()
            const file = path.join(intact.treeOf(id), 'a file')
            if (existsSync(file)) chmodSync(file, 0o222)
          },
        }
      },
    }),
  },
  {
    does: 'shares one tree between a parent and its children',
    caughtBy: ['lifecycle/parent-untouched', 'lifecycle/siblings-apart'],
    breaks: (intact) => ({
      async create(id, options) {
        await intact.create(id, options)
        if (options?.parent === undefined) return
        rmSync(intact.treeOf(id), { recursive: true })
        symlinkSync(intact.treeOf(options.parent), intact.treeOf(id))
      },
    }),
  },
  {
    does: 'deletes all layers that begin like the removed one',
    caughtBy: ['lifecycle/similar-ids'],
    breaks: (intact) => ({
      async remove(id, options) {
        for await (const other of intact.layers())
          if (other.startsWith(id)) await intact.remove(other, options)
      },
    }),
  },
  {
    does: 'takes a removed child’s files out of its parent too',
    caughtBy: ['lifecycle/remove-child-keeps-parent'],
    breaks: (intact) => ({
      async remove(id, options) {
        await intact.remove(id, options)
        for await (const other of intact.layers())
          rmSync(path.join(intact.treeOf(other), 'd/f'), { force: true })
      },
    }),
  },
  {
    does: 'refuses to remove what is not there',
    caughtBy: ['lifecycle/remove-twice'],
    breaks: (intact) => ({
      async remove(id, options) {
        if (!(await intact.exists(id)))
          throw new GraphDriverError('GD_LAYER_NOT_FOUND', `no layer ${id}`, { id })
        await intact.remove(id, options)
      },
    }),
  },
  {
    does: 'never forgets that a layer had children',
    caughtBy: ['lifecycle/remove-after-commit'],
    breaks: (intact) => {
      const parents = new Set<LayerId>()
      return {
        async create(id, options) {
          await intact.create(id, options)
          if (options?.parent !== undefined) parents.add(options.parent)
        },
        async remove(id, options) {
          if (parents.has(id))
            throw new GraphDriverError('GD_LAYER_IN_USE', `${id} has children`, { id, users: [] })
          await intact.remove(id, options)
        },
      }
    },
  },
  {
    does: 'lists a layer for each time that it was mounted',
    caughtBy: ['lifecycle/listed'],
    breaks: (intact) => {
      const mounted: LayerId[] = []
      return {
        get(id, options) {
          mounted.push(id)
          return intact.get(id, options)
        },
        async *layers(options) {
          yield* intact.layers(options)
          yield* mounted
        },
      }
    },
  },
  {
    does: 'stops listing when a layer was removed meanwhile',
    caughtBy: ['lifecycle/remove-during-walk'],
    breaks: (intact) => {
      let removed = 0
      return {
        remove(id, options) {
          removed++
          return intact.remove(id, options)
        },
        async *layers(options) {
          const before = removed
          for await (const id of intact.layers(options)) {
            if (removed > before) return
            yield id
          }
        },
      }
    },
  },
  {
    does: 'cuts ids at 64 characters',
    caughtBy: ['lifecycle/long-id'],
    breaks: (intact) => renames(intact, (id) => id.slice(0, 64)),
  },
  {
    does: 'does not tell upper from lower case',
    caughtBy: ['lifecycle/similar-ids'],
    breaks: (intact) => renames(intact, (id) => id.toLowerCase()),
  },
  {
    does: 'tells of directories outside of its home',
    caughtBy: ['lifecycle/metadata'],
    breaks: () => ({ metadata: () => Promise.resolve({ UpperDir: '/var/lib/elsewhere' }) }),
  },
  {
    does: 'says one thing twice in its status',
    caughtBy: ['lifecycle/status'],
    breaks: () => ({
      status: () =>
        Promise.resolve([
          ['Backing Filesystem', 'ext4'],
          ['Backing Filesystem', 'xfs'],
        ]),
    }),
  },
  {
    does: 'keeps a file in the data root that is not its own',
    caughtBy: ['lifecycle/name-and-home'],
    breaks: (intact) => ({
      async create(id, options) {
        await intact.create(id, options)
        writeFileSync(path.join(path.dirname(intact.home), 'layers.json'), '{}')
      },
    }),
  },
  {
    does: 'grows deeper with every layer',
    caughtBy: ['lifecycle/capabilities-constant'],
    breaks: (intact) => {
      let layers = 0
      return {
        create(id, options) {
          layers++
          return intact.create(id, options)
        },
        get capabilities() {
          return { ...intact.capabilities, maxDepth: 40 + layers }
        },
      }
    },
  },
]
