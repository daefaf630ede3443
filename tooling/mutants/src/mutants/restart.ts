import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { asLayerId, type DriverDefinition, type LayerId } from '@graphdriver/core'
import { isMountPoint, unmountTree } from '@graphdriver/sys'
import type { Mutant } from '../mutant.ts'

/** Something that happens to a home before it is opened, and may stop that. */
function beforeOpening(
  action: (home: string) => void,
): (definition: DriverDefinition) => Partial<DriverDefinition> {
  return (definition) => ({
    async open(host) {
      action(host.home)
      return definition.open(host)
    },
  })
}

function names(directory: string): readonly string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}

function filesOfLayers(home: string): readonly string[] {
  const layers = path.join(home, 'layers')
  return names(layers).flatMap((id) =>
    readdirSync(path.join(layers, id, 'tree'), { recursive: true, withFileTypes: true }).flatMap((entry) =>
      entry.isFile() ? [path.join(entry.parentPath, entry.name)] : [],
    ),
  )
}

/** Whether a process is there, by a signal that is none. */
function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

function hostError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}

export const restartMutants: readonly Mutant[] = [
  {
    does: 'puts modes right when it is opened',
    caughtBy: ['restart/layers-kept'],
    redefines: beforeOpening((home) => {
      for (const file of filesOfLayers(home)) chmodSync(file, 0o644)
    }),
  },
  {
    does: 'touches every file when it is opened',
    caughtBy: ['restart/layers-kept', 'restart/diffs-kept'],
    redefines: beforeOpening((home) => {
      for (const file of filesOfLayers(home)) utimesSync(file, 1, 1)
    }),
  },
  {
    does: 'forgets the depth of layers when it is opened',
    caughtBy: ['restart/children-on-earlier-layers'],
    redefines: beforeOpening((home) => {
      for (const id of names(path.join(home, 'layers'))) rmSync(path.join(home, 'layers', id, 'depth'))
    }),
  },
  {
    does: 'unmounts everything when it is opened',
    caughtBy: ['restart/mount-joined'],
    redefines: beforeOpening((home) => {
      if (existsSync(home)) unmountTree(path.join(home, 'mounted'))
    }),
  },
  {
    does: 'unmounts only what it has mounted itself',
    caughtBy: ['restart/put-of-left-mount'],
    breaks(intact) {
      const own = new Set<LayerId>()
      return {
        get(id, options) {
          own.add(id)
          return intact.get(id, options)
        },
        async put(id) {
          if (own.has(id)) await intact.put(id)
        },
      }
    },
  },
  {
    does: 'removes a layer from under the mount of an earlier process',
    caughtBy: ['restart/remove-of-left-mount'],
    breaks(intact) {
      const own = new Set<LayerId>()
      return {
        get(id, options) {
          own.add(id)
          return intact.get(id, options)
        },
        async remove(id, options) {
          if (own.has(id) || !isMountPoint(intact.mountPointOf(id))) await intact.remove(id, options)
          else rmSync(path.dirname(intact.treeOf(id)), { recursive: true })
        },
      }
    },
  },
  {
    does: 'reads the list of layers once, when it is opened',
    caughtBy: ['restart/made-by-either', 'restart/removed-by-either'],
    breaks(intact) {
      const known = new Set<LayerId>()
      for (const name of readdirSync(path.join(intact.home, 'layers'))) {
        const id = asLayerId(name)
        if (id !== undefined) known.add(id)
      }
      return {
        async create(id, options) {
          await intact.create(id, options)
          known.add(id)
        },
        async remove(id, options) {
          await intact.remove(id, options)
          known.delete(id)
        },
        exists: (id) => Promise.resolve(known.has(id)),
        async *layers() {
          yield* known
        },
      }
    },
  },
  {
    does: 'cannot be opened while it is being opened',
    caughtBy: ['restart/opened-twice'],
    redefines(definition) {
      const opening = new Set<string>()
      return {
        async open(host) {
          if (opening.has(host.home)) throw hostError('EBUSY', host.home)
          opening.add(host.home)
          try {
            return await definition.open(host)
          } finally {
            opening.delete(host.home)
          }
        },
      }
    },
  },
  {
    does: 'sets up a home only where there is none',
    caughtBy: ['restart/home-emptied'],
    redefines: beforeOpening((home) => {
      if (existsSync(home) && !existsSync(path.join(home, 'layers')))
        throw hostError('ENOENT', `${home}/layers`)
    }),
  },
  {
    does: 'lists every directory in its home',
    caughtBy: ['restart/strangers-in-home'],
    breaks: (intact) => ({
      async *layers(options) {
        yield* intact.layers(options)
        for (const name of readdirSync(intact.home)) {
          const id = name === 'layers' || name === 'mounted' ? undefined : asLayerId(name)
          if (id !== undefined) yield id
        }
      },
    }),
  },
  {
    does: 'deletes from its home what it does not know',
    caughtBy: ['restart/strangers-in-home'],
    redefines: beforeOpening((home) => {
      for (const name of names(home))
        if (name !== 'layers' && name !== 'mounted') rmSync(path.join(home, name), { recursive: true })
    }),
  },
  {
    does: 'mounts nothing where the mount point is there already',
    caughtBy: ['restart/mount-point-left'],
    breaks: (intact) => ({
      async get(id, options) {
        const target = intact.mountPointOf(id)
        if (existsSync(target) && !isMountPoint(target)) throw hostError('EEXIST', target)
        return intact.get(id, options)
      },
    }),
  },
  {
    does: 'does not open a home whose last user was killed',
    caughtBy: [
      'restart/killed-in-step-1',
      'restart/killed-in-step-2',
      'restart/killed-in-step-3',
      'restart/killed-in-step-5',
      'restart/killed-in-step-8',
      'restart/killed-in-step-13',
      'restart/killed-applying',
      'restart/killed-removing',
    ],
    redefines: beforeOpening((home) => {
      const users = path.join(path.dirname(home), 'users')
      const dead = names(users).filter((pid) => !lives(Number(pid)))
      if (dead.length > 0) throw hostError('EBUSY', `${home} is used by process ${dead.join(', ')}`)
      mkdirSync(users, { recursive: true })
      writeFileSync(path.join(users, String(process.pid)), '')
    }),
  },
  {
    does: 'forgets the layers of a process that was killed',
    caughtBy: [
      'restart/killed-in-step-3',
      'restart/killed-in-step-5',
      'restart/killed-in-step-8',
      'restart/killed-in-step-13',
    ],
    redefines: beforeOpening((home) => {
      const layers = path.join(home, 'layers')
      for (const id of names(layers)) {
        unmountTree(path.join(home, 'mounted', id))
        if (!existsSync(path.join(layers, id, 'cleaned-up')))
          rmSync(path.join(layers, id), { recursive: true })
      }
    }),
    breaks: (intact) => ({
      async cleanup() {
        for (const id of readdirSync(path.join(intact.home, 'layers')))
          writeFileSync(path.join(intact.home, 'layers', id, 'cleaned-up'), '')
        await intact.cleanup()
      },
    }),
  },
  {
    does: 'removes no layer that is half applied',
    caughtBy: ['restart/killed-applying'],
    breaks(intact) {
      const marker = (id: LayerId): string => path.join(path.dirname(intact.treeOf(id)), 'applying')
      return {
        async applyDiff(id, parent, tar, options) {
          writeFileSync(marker(id), '')
          const size = await intact.applyDiff(id, parent, tar, options)
          rmSync(marker(id))
          return size
        },
        async remove(id, options) {
          if (existsSync(marker(id))) throw hostError('EBUSY', id)
          await intact.remove(id, options)
        },
      }
    },
  },
]
