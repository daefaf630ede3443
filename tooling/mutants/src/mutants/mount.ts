import {
  type BigIntStats,
  chmodSync,
  cpSync,
  existsSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import type { Driver, LayerId, Mount } from '@graphdriver/core'
import { MNT, mount, MS, umount } from '@graphdriver/sys'
import { damagesChildren, type Mutant } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'

type Break = NonNullable<Mutant['breaks']>

function isChild(intact: ReferenceDriver, id: LayerId): boolean {
  return readFileSync(path.join(intact.treeOf(id), '../depth'), 'utf8') !== '1'
}

/** Mounts that are not quite what they should be. */
function altersMounts(alter: (mounted: Mount, intact: ReferenceDriver) => Mount): Break {
  return (intact) => ({ get: async (id, options) => alter(await intact.get(id, options), intact) })
}

/** Something is done to each mount of a layer with a parent, and undone before it goes. */
function meddlesWithChildren(
  meddle: (mounted: Mount, intact: ReferenceDriver) => (() => void) | undefined,
): Break {
  return altersMounts((mounted, intact) => {
    if (!isChild(intact, mounted.id)) return mounted
    const undo = meddle(mounted, intact)
    return {
      ...mounted,
      async [Symbol.asyncDispose]() {
        undo?.()
        await mounted[Symbol.asyncDispose]()
      },
    }
  })
}

function remountsWith(flags: number): Break {
  return meddlesWithChildren(({ path: target }) => {
    mount({ source: 'none', target, flags: MS.BIND | MS.REMOUNT | flags })
    return undefined
  })
}

/** What was where before a mount was used. */
type Memory = ReadonlyMap<string, { readonly stats: BigIntStats; readonly content: Buffer }>

function remember(tree: string): Memory {
  const names = readdirSync(tree, { recursive: true, encoding: 'utf8' })
  return new Map(
    names.map((name) => {
      const stats = lstatSync(path.join(tree, name), { bigint: true })
      const content = stats.isFile() ? readFileSync(path.join(tree, name)) : Buffer.alloc(0)
      return [name, { stats, content }]
    }),
  )
}

/** Of what was done in the mount of a layer with a parent, something is forgotten when it is unmounted. */
function forgets(forget: (tree: string, before: Memory) => void): Break {
  return meddlesWithChildren(({ id }, intact) => {
    const tree = intact.treeOf(id)
    const before = remember(tree)
    return () => forget(tree, before)
  })
}

/** The same for each file that was there before and is there still. */
function forgetsOfEach(
  forget: (file: string, before: BigIntStats, after: BigIntStats, content: Buffer) => void,
): Break {
  return forgets((tree, before) => {
    for (const [name, { stats, content }] of before) {
      const file = path.join(tree, name)
      const after = lstatSync(file, { bigint: true, throwIfNoEntry: false })
      if (after !== undefined) forget(file, stats, after, content)
    }
  })
}

function isThere(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false }) !== undefined
}

/** Detaches mounts that `isVictim` says when another layer is mounted. */
function sacrifices(isVictim: (held: readonly LayerId[], wanted: LayerId) => LayerId | undefined): Break {
  return (intact) => {
    const held: LayerId[] = []
    return {
      async get(id, options) {
        const victim = isVictim(held, id)
        const mounted = await intact.get(id, options)
        if (victim !== undefined) detach(intact.mountPointOf(victim))
        held.push(id)
        return {
          ...mounted,
          async [Symbol.asyncDispose]() {
            if (held.includes(id)) held.splice(held.indexOf(id), 1)
            await mounted[Symbol.asyncDispose]()
          },
        }
      },
    }
  }
}

function detach(target: string): void {
  if (existsSync(target)) umount(target, MNT.DETACH | MNT.NOFOLLOW)
}

export const mountMutants: readonly Mutant[] = [
  {
    does: 'gives relative paths',
    caughtBy: ['mount/path-absolute'],
    breaks: altersMounts((mounted) => ({ ...mounted, path: path.relative(process.cwd(), mounted.path) })),
  },
  {
    does: 'gives each user a path of its own',
    caughtBy: ['mount/path-shared'],
    breaks: (intact) => {
      const users = new Map<LayerId, number>()
      return {
        async get(id, options) {
          const mounted = await intact.get(id, options)
          const count = users.get(id) ?? 0
          users.set(id, count + 1)
          return {
            ...mounted,
            path: mounted.path + '/.'.repeat(count),
            async [Symbol.asyncDispose]() {
              users.set(id, count)
              await mounted[Symbol.asyncDispose]()
            },
          }
        },
      }
    },
  },
  {
    does: 'gives another path each time it mounts',
    caughtBy: ['mount/path-kept'],
    breaks: (intact) => {
      let mounts = 0
      return {
        async get(id, options) {
          const mounted = await intact.get(id, options)
          return { ...mounted, path: mounted.path + '/.'.repeat(mounts++) }
        },
      }
    },
  },
  {
    does: 'unmounts at every put',
    caughtBy: ['mount/counted', 'mount/put-by-id'],
    breaks: (intact) => {
      const put: Driver['put'] = async (id) => {
        await intact.put(id)
        detach(intact.mountPointOf(id))
      }
      return {
        put,
        async get(id, options) {
          return { ...(await intact.get(id, options)), [Symbol.asyncDispose]: () => put(id) }
        },
      }
    },
  },
  {
    does: 'puts as often as a mount is disposed',
    caughtBy: ['mount/dispose-once'],
    breaks: (intact) => ({
      async get(id, options) {
        return { ...(await intact.get(id, options)), [Symbol.asyncDispose]: () => intact.put(id) }
      },
    }),
  },
  {
    does: 'knows no put by id',
    caughtBy: ['mount/put-by-id'],
    breaks: () => ({ put: () => Promise.resolve() }),
  },
  {
    does: 'refuses to put what it does not hold',
    caughtBy: ['mount/put-unknown'],
    breaks: (intact) => ({
      async put(id) {
        await intact.metadata(id)
        await intact.put(id)
      },
    }),
  },
  {
    does: 'counts below nothing',
    caughtBy: ['mount/put-unmounted'],
    breaks: (intact) => {
      const counts = new Map<LayerId, number>()
      const add = (id: LayerId, one: number): number => {
        counts.set(id, (counts.get(id) ?? 0) + one)
        return counts.get(id) ?? 0
      }
      const put: Driver['put'] = async (id) => {
        if (add(id, -1) <= 0) detach(intact.mountPointOf(id))
        await intact.put(id)
      }
      return {
        put,
        async get(id, options) {
          const mounted = await intact.get(id, options)
          add(id, 1)
          return { ...mounted, [Symbol.asyncDispose]: () => put(id) }
        },
      }
    },
  },
  {
    does: 'loses the files that were made in a mount',
    caughtBy: ['mount/content-persists', 'mount/synced', 'mount/rename-own-directory'],
    breaks: forgets((tree, before) => {
      for (const name of readdirSync(tree, { recursive: true, encoding: 'utf8' })) {
        if (!before.has(name)) rmSync(path.join(tree, name), { recursive: true, force: true })
      }
    }),
  },
  {
    does: 'says of every mount that it is read-only',
    caughtBy: ['mount/container-writable', 'mount/readonly-refuses-writes'],
    breaks: altersMounts((mounted) => ({ ...mounted, readonly: true })),
  },
  {
    does: 'mounts layers with a parent read-only, and does not say so',
    caughtBy: [
      'mount/container-writable',
      'mount/writable-takes-writes',
      'mount/open-file-deleted',
      'mount/open-file-replaced',
    ],
    breaks: remountsWith(MS.RDONLY),
  },
  {
    does: 'shares files with the parent by hard links',
    caughtBy: ['mount/child-apart-from-parent', 'mount/append-lower-file'],
    breaks: (intact) => {
      const create: Driver['create'] = async (id, options) => {
        await intact.create(id, options)
        if (options?.parent === undefined) return
        const [tree, parent] = [intact.treeOf(id), intact.treeOf(options.parent)]
        for (const name of readdirSync(tree, { recursive: true, encoding: 'utf8' })) {
          if (!lstatSync(path.join(tree, name)).isFile()) continue
          rmSync(path.join(tree, name))
          linkSync(path.join(parent, name), path.join(tree, name))
        }
      }
      return { create, createReadWrite: create }
    },
  },
  {
    does: 'leaves a removed layer mounted',
    caughtBy: ['mount/remove-mounted'],
    breaks: (intact) => ({
      async remove(id) {
        rmSync(path.dirname(intact.treeOf(id)), { recursive: true, force: true })
      },
    }),
  },
  {
    does: 'unmounts the layer that was mounted before another',
    caughtBy: ['mount/parent-and-child'],
    breaks: sacrifices((held, wanted) => held.findLast((id) => id !== wanted)),
  },
  {
    does: 'keeps twenty mounts',
    caughtBy: ['mount/thirty-mounted'],
    breaks: sacrifices((held) => (held.length >= 20 ? held[0] : undefined)),
  },
  {
    does: 'unmounts what was not used at once',
    caughtBy: ['mount/working-directory-removed', 'mount/unix-socket'],
    breaks: meddlesWithChildren(({ path: target }) => {
      setImmediate(() => detach(target))
      return undefined
    }),
  },
  {
    does: 'copies up and does not say so',
    caughtBy: ['mount/rename-lower-directory', 'mount/hard-links-on-write'],
    breaks: meddlesWithChildren(({ id, path: target }, intact) => {
      const above = path.join(intact.home, 'above', id)
      const [upper, work] = [path.join(above, 'upper'), path.join(above, 'work')]
      for (const directory of [upper, work]) mkdirSync(directory, { recursive: true })
      const places = `lowerdir=${intact.treeOf(id)},upperdir=${upper},workdir=${work}`
      mount({ source: 'overlay', target, type: 'overlay', data: `${places},index=off,redirect_dir=off` })
      return () => detach(target)
    }),
  },
  {
    does: 'gives each user new copies of everything',
    caughtBy: ['mount/directory-inode', 'mount/open-file-inode', 'mount/open-file-on-write'],
    breaks: meddlesWithChildren(({ path: root }) => {
      for (const name of readdirSync(root)) {
        cpSync(path.join(root, name), path.join(root, `${name}~`), { recursive: true })
        rmSync(path.join(root, name), { recursive: true })
        renameSync(path.join(root, `${name}~`), path.join(root, name))
      }
      return undefined
    }),
  },
  {
    does: 'loses fifos',
    caughtBy: ['mount/fifo', 'mount/readdir-types'],
    breaks: damagesChildren((tree) => {
      for (const entry of readdirSync(tree, { withFileTypes: true })) {
        if (entry.isFIFO()) rmSync(path.join(tree, entry.name))
      }
    }),
  },
  {
    does: 'mounts so that nothing can be executed',
    caughtBy: ['mount/script-runs', 'mount/program-runs'],
    breaks: remountsWith(MS.NOEXEC),
  },
  {
    does: 'forgets the new mode of a file',
    caughtBy: ['mount/chmod-lower-file'],
    breaks: forgetsOfEach((file, before, after) => {
      if (after.isFile()) chmodSync(file, Number(before.mode & 0o7777n))
    }),
  },
  {
    does: 'forgets the new mode of a directory',
    caughtBy: ['mount/chmod-lower-directory'],
    breaks: forgetsOfEach((file, before, after) => {
      if (after.isDirectory()) chmodSync(file, Number(before.mode & 0o7777n))
    }),
  },
  {
    does: 'forgets the new owner of a file',
    caughtBy: ['mount/chown-lower-file'],
    breaks: forgetsOfEach((file, before, after) => {
      if (after.isFile()) lchownSync(file, Number(before.uid), Number(before.gid))
    }),
  },
  {
    does: 'gives what is in a directory to the directory’s new owner',
    caughtBy: ['mount/chown-three-levels'],
    breaks: forgetsOfEach((file, before, after) => {
      if (!after.isDirectory() || before.uid === after.uid) return
      for (const name of readdirSync(file))
        lchownSync(path.join(file, name), Number(after.uid), Number(after.gid))
    }),
  },
  {
    does: 'keeps of a file that grew only what was added',
    caughtBy: ['mount/append-lower-file', 'mount/truncate-lower-file', 'mount/link-lower-file'],
    breaks: forgetsOfEach((file, before, after) => {
      if (!after.isFile() || after.size <= before.size) return
      writeFileSync(file, readFileSync(file).subarray(Number(before.size)))
    }),
  },
  {
    does: 'pads what was cut shorter to its old size',
    caughtBy: ['mount/truncate-lower-file', 'mount/rewrite-lower-file'],
    breaks: forgetsOfEach((file, before, after) => {
      if (after.isFile() && after.size < before.size) truncateSync(file, Number(before.size))
    }),
  },
  {
    does: 'shows what was renamed over again',
    caughtBy: ['mount/rename-over-lower-file'],
    breaks: forgetsOfEach((file, before, after, content) => {
      if (after.isFile() && before.ino !== after.ino) writeFileSync(file, content)
    }),
  },
  {
    does: 'loses the content of files that were moved to another directory',
    caughtBy: ['mount/move-by-link'],
    breaks: forgets((tree, before) => {
      const moved = new Set<bigint>()
      for (const [name, { stats }] of before) if (!isThere(path.join(tree, name))) moved.add(stats.ino)
      for (const name of readdirSync(tree, { recursive: true, encoding: 'utf8' })) {
        const file = path.join(tree, name)
        const stats = lstatSync(file, { bigint: true })
        if (stats.isFile() && moved.has(stats.ino) && name.includes('/')) truncateSync(file, 0)
      }
    }),
  },
  {
    does: 'copies a file that gets a second name',
    caughtBy: ['mount/link-lower-file'],
    breaks: forgetsOfEach((file, before, after) => {
      if (!after.isFile() || before.nlink !== 1n || after.nlink === 1n) return
      cpSync(file, `${file}~`, { preserveTimestamps: true })
      renameSync(`${file}~`, file)
    }),
  },
  {
    does: 'brings deleted files back',
    caughtBy: ['mount/deleted-lower-file', 'mount/rename-over-lower-file', 'mount/directory-made-again'],
    breaks: forgets((tree, before) => {
      for (const [name, { stats, content }] of before) {
        const file = path.join(tree, name)
        if (stats.isFile() && !isThere(file) && isThere(path.dirname(file))) writeFileSync(file, content)
      }
    }),
  },
  {
    does: 'shows symbolic links as the files they lead to',
    caughtBy: ['mount/readdir-types'],
    breaks: damagesChildren((tree) => {
      for (const entry of readdirSync(tree, { withFileTypes: true })) {
        if (!entry.isSymbolicLink()) continue
        const content = readFileSync(path.join(tree, entry.name))
        rmSync(path.join(tree, entry.name))
        writeFileSync(path.join(tree, entry.name), content)
      }
    }),
  },
  {
    does: 'remembers no more than 512 deletions in a directory',
    caughtBy: ['mount/half-of-two-thousand'],
    breaks: forgets((tree, before) => {
      const deleted = [...before.keys()].filter((name) => !isThere(path.join(tree, name)))
      for (const name of deleted.slice(512)) writeFileSync(path.join(tree, name), '')
    }),
  },
  {
    does: 'keeps times of what was in a lower layer to the microsecond',
    caughtBy: ['mount/nanoseconds'],
    breaks: forgetsOfEach((file, _before, { atimeNs, mtimeNs }) => {
      const floor = (ns: bigint): number => Number(ns / 1000n) / 1e6
      lutimesSync(file, floor(atimeNs), floor(mtimeNs))
    }),
  },
  {
    does: 'gives new files the mode 0644',
    caughtBy: ['mount/umask-of-writer'],
    breaks: forgets((tree, before) => {
      for (const name of readdirSync(tree, { recursive: true, encoding: 'utf8' })) {
        const file = path.join(tree, name)
        if (!before.has(name) && lstatSync(file).isFile()) chmodSync(file, 0o644)
      }
    }),
  },
]
