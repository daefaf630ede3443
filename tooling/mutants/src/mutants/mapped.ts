import { lchownSync, lstatSync, readdirSync } from 'node:fs'
import path from 'node:path'
import type { Driver, IdMap, LayerId, Mount } from '@graphdriver/core'
import { layerMount } from '@graphdriver/core'
import type { Mutant } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'

/** Drivers that show a layer in another way than by its map. */
function shows(
  show: (intact: ReferenceDriver, id: LayerId, ids: IdMap) => Promise<Mount>,
): NonNullable<Mutant['breaks']> {
  return (intact): Partial<Driver> => ({ getMapped: async (id, ids) => show(intact, id, ids) })
}

/** As was done before mounts could be mapped: each file is given away, and taken back never. */
function chownAll(tree: string, { uids }: IdMap): void {
  const [range] = uids
  if (range === undefined) return
  const give = (file: string): void => {
    const { uid, gid } = lstatSync(file)
    if (Math.max(uid, gid) < range.count) lchownSync(file, uid + range.outside, gid + range.outside)
    else lchownSync(file, 65_534, 65_534)
  }
  give(tree)
  for (const name of readdirSync(tree, { recursive: true, encoding: 'utf8' })) give(path.join(tree, name))
}

export const mappedMutants: readonly Mutant[] = [
  {
    does: 'shows a layer with its own owners, whatever the map',
    caughtBy: ['namespaces/mapped-owners', 'namespaces/mapped-twice'],
    breaks: shows((intact, id) => intact.get(id)),
  },
  {
    does: 'gives the files of a layer to whom the map says, and lets them have them',
    caughtBy: ['namespaces/mapped-owners', 'namespaces/mapped-writes', 'namespaces/mapped-strangers'],
    breaks: shows(async (intact, id, ids) => {
      const mount = await intact.get(id)
      chownAll(mount.path, ids)
      return mount
    }),
  },
  {
    does: 'shows a layer by one map where it was asked for another meanwhile',
    caughtBy: ['namespaces/mapped-twice'],
    breaks: (intact) => {
      let known: IdMap | undefined
      return { getMapped: (id, ids) => intact.getMapped(id, (known ??= ids)) }
    },
  },
  {
    does: 'takes any map, and shows the layer by another when it cannot be done',
    caughtBy: ['namespaces/mapped-badly'],
    breaks: shows(async (intact, id, ids) => {
      try {
        return await intact.getMapped(id, ids)
      } catch {
        return await intact.get(id)
      }
    }),
  },
  {
    does: 'unmounts by an id nothing but what it shows without a map',
    caughtBy: ['namespaces/mapped-left'],
    breaks: (intact) => {
      intact.views.putLeft = () => Promise.resolve()
      return {}
    },
  },
  {
    does: 'forgets what is shown by a map when the layer is removed, and afterwards',
    caughtBy: ['namespaces/mapped-removed'],
    breaks: (intact) => {
      intact.views.hide = () => Promise.resolve()
      return {
        async getMapped(id, ids) {
          const { path: place } = await intact.getMapped(id, ids)
          return layerMount(id, place, false)
        },
      }
    },
  },
]
