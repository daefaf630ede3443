import { randomUUID } from 'node:crypto'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { isGraphDriverError, type LayerId, parseLayerId } from '@graphdriver/core'
import { isMountPoint, mount, MS } from '@graphdriver/sys'
import type { Mutant } from '../mutant.ts'

/** How many calls are under way, in all and for each layer. */
class UnderWay {
  readonly #counts = new Map<LayerId, number>()
  #all = 0

  get all(): number {
    return this.#all
  }

  of(id: LayerId): number {
    return this.#counts.get(id) ?? 0
  }

  async during<T>(id: LayerId, action: () => Promise<T>): Promise<T> {
    this.#add(id, 1)
    try {
      return await action()
    } finally {
      this.#add(id, -1)
    }
  }

  get ids(): readonly LayerId[] {
    return [...this.#counts].flatMap(([id, count]) => (count > 0 ? [id] : []))
  }

  #add(id: LayerId, count: number): void {
    this.#counts.set(id, this.of(id) + count)
    this.#all += count
  }
}

function hostError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code })
}

export const concurrencyMutants: readonly Mutant[] = [
  {
    does: 'starts a layer empty while another is being made',
    caughtBy: [
      'concurrency/layers-apart',
      'concurrency/children-of-mounted-parent',
      'concurrency/mount-rounds',
    ],
    breaks(intact) {
      const creating = new UnderWay()
      return {
        create: (id, options) => {
          const { parent: _, ...alone } = options ?? {}
          return creating.during(id, () => intact.create(id, creating.all > 1 ? alone : options))
        },
      }
    },
  },
  {
    does: 'tells everybody who waits for a layer that he made it',
    caughtBy: ['concurrency/one-creates'],
    breaks(intact) {
      const making = new Map<LayerId, Promise<void>>()
      return {
        create(id, options) {
          const made = making.get(id) ?? intact.create(id, options).finally(() => making.delete(id))
          making.set(id, made)
          return made
        },
      }
    },
  },
  {
    does: 'lets an instance make a layer that another has made',
    caughtBy: ['concurrency/one-instance-creates'],
    breaks(intact) {
      const own = new Set<LayerId>()
      return {
        async create(id, options) {
          try {
            await intact.create(id, options)
            own.add(id)
          } catch (error) {
            if (own.has(id) || !isGraphDriverError(error, 'GD_LAYER_EXISTS')) throw error
          }
        },
      }
    },
  },
  {
    does: 'leaves what it has made of a layer when another is faster',
    caughtBy: ['concurrency/losers-leave-nothing'],
    breaks: (intact) => ({
      async create(id, options) {
        try {
          await intact.create(id, options)
        } catch (error) {
          mkdirSync(path.join(intact.home, `layers/.lost-${randomUUID()}`))
          throw error
        }
      },
    }),
  },
  {
    does: 'mounts a layer once more for everybody who comes while it is being mounted',
    caughtBy: ['concurrency/gets-share-mount'],
    breaks(intact) {
      const mounting = new UnderWay()
      return {
        async get(id, options) {
          const again = mounting.of(id) > 0
          const made = await mounting.during(id, () => intact.get(id, options))
          if (again) mount({ source: made.path, target: made.path, flags: MS.BIND })
          return made
        },
      }
    },
  },
  {
    does: 'mounts over what another instance has mounted',
    caughtBy: ['concurrency/gets-of-two-instances', 'restart/mount-joined'],
    breaks(intact) {
      const own = new Set<LayerId>()
      return {
        async get(id, options) {
          // Whoever came before has mounted by then.
          await setImmediate()
          const others = !own.has(id) && isMountPoint(intact.mountPointOf(id))
          own.add(id)
          const made = await intact.get(id, options)
          if (others) mount({ source: made.path, target: made.path, flags: MS.BIND })
          return made
        },
      }
    },
  },
  {
    does: 'refuses to remove a layer that is being removed',
    caughtBy: ['concurrency/removes-of-one', 'concurrency/create-against-remove'],
    breaks(intact) {
      const removing = new UnderWay()
      return {
        async remove(id, options) {
          if (removing.of(id) > 0) throw hostError('EBUSY', id)
          await removing.during(id, () => intact.remove(id, options))
        },
      }
    },
  },
  {
    does: 'leaves the record of a layer that was removed while it was being made',
    caughtBy: ['concurrency/create-against-remove-leaves-nothing'],
    breaks(intact) {
      const creating = new UnderWay()
      return {
        create: (id, options) => creating.during(id, () => intact.create(id, options)),
        async remove(id, options) {
          if (creating.of(id) > 0) writeFileSync(path.join(intact.home, `record-of-${id}`), '')
          await intact.remove(id, options)
        },
      }
    },
  },
  {
    does: 'says of a layer that is being removed that a file is missing',
    caughtBy: ['concurrency/get-against-remove'],
    breaks(intact) {
      const removing = new UnderWay()
      return {
        remove: (id, options) => removing.during(id, () => intact.remove(id, options)),
        async get(id, options) {
          if (removing.of(id) > 0) throw hostError('ENOENT', intact.treeOf(id))
          return intact.get(id, options)
        },
      }
    },
  },
  {
    does: 'mixes up diffs that are open at the same time',
    caughtBy: ['concurrency/diffs-of-one', 'concurrency/diffs-in-turns', 'concurrency/transplants-at-once'],
    breaks(intact) {
      let open = 0
      return {
        async *diff(id, parent, options) {
          open++
          try {
            for await (const chunk of intact.diff(id, parent, options))
              yield open > 1 ? Buffer.from(chunk).reverse() : chunk
          } finally {
            open--
          }
        },
      }
    },
  },
  {
    does: 'makes no layer while a diff is being read',
    caughtBy: ['concurrency/calls-beside-open-diffs'],
    breaks(intact) {
      let open = 0
      return {
        async *diff(id, parent, options) {
          open++
          try {
            yield* intact.diff(id, parent, options)
          } finally {
            open--
          }
        },
        async create(id, options) {
          if (open > 0) throw hostError('EBUSY', id)
          await intact.create(id, options)
        },
      }
    },
  },
  {
    does: 'applies tars that come at the same time to one layer',
    caughtBy: ['concurrency/applies-at-once'],
    breaks(intact) {
      const applying = new UnderWay()
      return {
        applyDiff(id, parent, tar, options) {
          const [target = id] = applying.ids
          return applying.during(target, () => intact.applyDiff(target, parent, tar, options))
        },
      }
    },
  },
  {
    does: 'makes no layer while a tar is being applied',
    caughtBy: ['concurrency/slow-applies'],
    breaks(intact) {
      const applying = new UnderWay()
      return {
        applyDiff: (id, parent, tar, options) =>
          applying.during(id, () => intact.applyDiff(id, parent, tar, options)),
        async create(id, options) {
          if (applying.all > 0) throw hostError('EBUSY', id)
          await intact.create(id, options)
        },
      }
    },
  },
  {
    does: 'lists layers that are being made under other names',
    caughtBy: ['concurrency/listing-during-churn'],
    breaks(intact) {
      const creating = new UnderWay()
      return {
        create: (id, options) => creating.during(id, () => intact.create(id, options)),
        async *layers(options) {
          yield* intact.layers(options)
          for (const id of creating.ids) yield parseLayerId(`${id}-init`)
        },
      }
    },
  },
  {
    does: 'drops two references for each mount that is disposed',
    caughtBy: ['concurrency/get-put-storm'],
    breaks: (intact) => ({
      async get(id, options) {
        const made = await intact.get(id, options)
        return {
          ...made,
          async [Symbol.asyncDispose]() {
            await intact.put(id)
            await made[Symbol.asyncDispose]()
          },
        }
      },
    }),
  },
  {
    does: 'gives up when a file comes or goes while it compares',
    caughtBy: ['concurrency/changes-during-writes'],
    breaks: (intact) => ({
      async changes(id, parent, options) {
        const directory = path.join(intact.treeOf(id), 'd')
        const before = readdirSync(directory)
        const changes = await intact.changes(id, parent, options)
        if (readdirSync(directory).join('/') !== before.join('/')) throw hostError('ENOENT', directory)
        return changes
      },
    }),
  },
]
