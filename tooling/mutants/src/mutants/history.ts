import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import path from 'node:path'
import { type Driver, GraphDriverError, type LayerId, type TarStream } from '@graphdriver/core'
import { collect, entryBlocks, type RawEntry, rawTar } from '@graphdriver/core/conformance'
import { SystemError, umount } from '@graphdriver/sys'
import { damagesApplied, damagesChildren, editsDiffs, type Mutant, type TarHeader } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'

const isWhiteout = ({ name }: TarHeader): boolean => path.basename(name).startsWith('.wh.')

/** Diffs with entries that do not belong there. */
function addsToDiffs(
  entries: (intact: ReferenceDriver, id: LayerId) => readonly RawEntry[],
): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    async *diff(id, parent, options) {
      const tar = await collect(intact.diff(id, parent, options))
      yield Buffer.concat([tar.subarray(0, -1024), rawTar(...entries(intact, id))])
    },
  })
}

function namesIn(tree: string): readonly string[] {
  return readdirSync(tree, { recursive: true, encoding: 'utf8' }).toSorted()
}

/** A diff whose headers tell the sizes that files had at first, and whose contents are what is there when it is read. */
async function* hastyTar(tree: string): TarStream {
  const seen = namesIn(tree).map((name) => ({ name, size: statSync(path.join(tree, name)).size }))
  for (const { name, size } of seen) {
    yield entryBlocks({ name, data: Buffer.alloc(size) }).subarray(0, 512)
    const file = path.join(tree, name)
    const content = existsSync(file) ? readFileSync(file) : Buffer.alloc(0)
    yield Buffer.concat([content, Buffer.alloc((512 - (content.length % 512)) % 512)])
  }
  yield Buffer.alloc(1024)
}

/** Unmounts unless somebody is inside, and says so if it cannot. */
function refusalToUnmount(target: string): SystemError | undefined {
  try {
    umount(target)
  } catch (error) {
    if (error instanceof SystemError && error.code === 'EBUSY') return error
  }
  return undefined
}

/** Unmounts as if nothing could be mounted or busy inside. */
function unmountsPlainly(intact: ReferenceDriver): Partial<Driver> {
  return {
    async get(id, options) {
      const mounted = await intact.get(id, options)
      return {
        ...mounted,
        async [Symbol.asyncDispose]() {
          const refusal = refusalToUnmount(mounted.path)
          await mounted[Symbol.asyncDispose]()
          if (refusal !== undefined) throw refusal
        },
      }
    },
  }
}

/** Removes like a driver that first unmounts, and gives up when that is refused. */
function removesPlainly(intact: ReferenceDriver): Partial<Driver> {
  return {
    async remove(id, options) {
      const refusal = refusalToUnmount(intact.mountPointOf(id))
      await intact.remove(id, options)
      if (refusal !== undefined) throw refusal
    },
  }
}

function removesAfter(damage: (intact: ReferenceDriver, id: LayerId) => void): NonNullable<Mutant['breaks']> {
  return (intact) => ({
    async remove(id, options) {
      damage(intact, id)
      await intact.remove(id, options)
    },
  })
}

function isDeeperThanPaths(tree: string): boolean {
  if (!existsSync(tree)) return false
  const deepest = execFileSync('find', [tree, '-depth', '-name', 'f', '-printf', '%d'], { encoding: 'utf8' })
  return Number(deepest) > 20
}

export const historyMutants: readonly Mutant[] = [
  {
    does: 'leaves whiteouts out of its diffs',
    caughtBy: [
      'history/directory-recreated',
      'history/renamed-back',
      'history/directory-then-symlink',
      'history/link-across-opaque-directory',
      'history/case-only',
    ],
    breaks: editsDiffs((header) => (isWhiteout(header) ? undefined : header)),
  },
  {
    does: 'leaves out whiteouts that no file could be called by',
    caughtBy: ['history/longest-names-deleted'],
    breaks: editsDiffs((header) =>
      isWhiteout(header) && Buffer.byteLength(path.basename(header.name)) > 255 ? undefined : header,
    ),
  },
  {
    does: 'writes directories as root’s',
    caughtBy: ['history/owner-of-recreated-directory', 'history/commit'],
    breaks: editsDiffs((header) => (header.type === 'directory' ? { ...header, uid: 0, gid: 0 } : header)),
  },
  {
    does: 'takes files of one size for the same',
    caughtBy: ['history/renamed-into-its-place'],
    breaks: (intact) => ({
      async *diff(id, parent, options) {
        const below = parent === undefined ? undefined : intact.treeOf(parent)
        const edited = editsDiffs((header) => {
          const old =
            below === undefined
              ? undefined
              : statSync(path.join(below, header.name), { throwIfNoEntry: false })
          return header.type === 'file' && old?.isFile() === true && old.size === header.size
            ? undefined
            : header
        })(intact)
        if (edited.diff !== undefined) yield* edited.diff(id, parent, options)
      },
    }),
  },
  {
    does: 'writes later names of a file as empty files',
    caughtBy: ['history/link-across-opaque-directory', 'history/capabilities-committed'],
    breaks: editsDiffs((header) =>
      header.type === 'link' ? { ...header, type: 'file', linkname: '' } : header,
    ),
  },
  {
    does: 'lists no directories in its diffs',
    caughtBy: ['history/symlink-then-directory', 'history/symlink-to-host'],
    breaks: editsDiffs((header) => (header.type === 'directory' ? undefined : header)),
  },
  {
    does: 'leaves a file where a directory takes its place',
    caughtBy: ['history/file-then-directory'],
    breaks: editsDiffs((header) =>
      header.name === 'x/' || header.name.startsWith('x/') ? undefined : header,
    ),
  },
  {
    does: 'writes no file capabilities',
    caughtBy: ['history/capabilities-committed'],
    breaks: editsDiffs((header) => ({
      ...header,
      pax: Object.fromEntries(
        Object.entries(header.pax ?? {}).filter(([key]) => key !== 'SCHILY.xattr.security.capability'),
      ),
    })),
  },
  {
    does: 'loses set-id bits in children',
    caughtBy: ['history/capabilities-committed'],
    breaks: damagesChildren((tree) => {
      for (const name of namesIn(tree)) {
        const file = path.join(tree, name)
        const stat = lstatSync(file)
        if (stat.isFile() && (stat.mode & 0o6000) !== 0) chmodSync(file, stat.mode & 0o777)
      }
    }),
  },
  {
    does: 'takes times that are still to come for mistakes',
    caughtBy: ['history/future-time'],
    breaks: editsDiffs((header) =>
      header.mtime !== undefined && header.mtime.getTime() > 4_000_000_000_000
        ? { ...header, mtime: new Date(), pax: {} }
        : header,
    ),
  },
  {
    does: 'leaves out what may not be read',
    caughtBy: ['history/unreadable'],
    breaks: editsDiffs((header) => (((header.mode ?? 0) & 0o444) === 0 ? undefined : header)),
  },
  {
    does: 'takes names that begin with two dots for escapes',
    caughtBy: ['history/dots-in-names'],
    breaks: editsDiffs((header) => (header.name.startsWith('..') ? undefined : header)),
  },
  {
    does: 'deletes names without regard to case',
    caughtBy: ['history/case-only'],
    breaks: damagesApplied((tree) => rmSync(path.join(tree, 'FILE'), { force: true })),
  },
  {
    does: 'refuses an id whose layer could once not be applied',
    caughtBy: ['history/half-made-layer'],
    breaks: (intact) => {
      const failed = new Set<LayerId>()
      return {
        async applyDiff(id, parent, tar, options) {
          failed.add(id)
          const size = await intact.applyDiff(id, parent, tar, options)
          failed.delete(id)
          return size
        },
        async create(id, options) {
          if (failed.has(id))
            throw new GraphDriverError('GD_LAYER_EXISTS', `layer ${id} is half made`, { id })
          await intact.create(id, options)
        },
      }
    },
  },
  {
    does: 'cannot remove a layer that is not there any more',
    caughtBy: ['history/deleted-by-hand'],
    breaks: removesAfter((intact, id) => {
      lstatSync(path.dirname(intact.treeOf(id)))
    }),
  },
  {
    does: 'says that a layer is removed when a file of it cannot be',
    caughtBy: ['history/immutable-file'],
    breaks: (intact) => ({ remove: (id, options) => intact.remove(id, options).catch(() => undefined) }),
  },
  {
    does: 'does not say which file it could not remove',
    caughtBy: ['history/immutable-file'],
    breaks: (intact) => ({
      remove: (id, options) =>
        intact.remove(id, options).catch(() => {
          throw new Error(`layer ${id} cannot be removed`)
        }),
    }),
  },
  {
    does: 'empties what is mounted in a layer before it removes the layer',
    caughtBy: ['history/host-directory-bound'],
    breaks: removesAfter((intact, id) => {
      const volume = path.join(intact.mountPointOf(id), 'volume')
      if (!existsSync(volume)) return
      for (const name of readdirSync(volume)) rmSync(path.join(volume, name), { recursive: true })
    }),
  },
  {
    does: 'unmounts only what nobody is in',
    caughtBy: ['history/mounted-inside-put', 'history/working-directory'],
    breaks: unmountsPlainly,
  },
  {
    does: 'removes only what nobody is in',
    caughtBy: ['history/open-file', 'history/host-directory-bound'],
    breaks: removesPlainly,
  },
  {
    does: 'marks every directory of a diff opaque',
    caughtBy: ['history/opaque-not-copied'],
    breaks: addsToDiffs(() => [{ name: 'd/.wh..wh..opq' }]),
  },
  {
    does: 'puts files that are named like whiteouts into its diffs',
    caughtBy: ['history/reserved-name'],
    breaks: addsToDiffs((intact, id) =>
      namesIn(intact.treeOf(id))
        .filter((name) => path.basename(name).startsWith('.wh.'))
        .map((name) => ({ name })),
    ),
  },
  {
    does: 'writes sockets as empty files',
    caughtBy: ['history/socket-and-fifo'],
    breaks: addsToDiffs((intact, id) =>
      namesIn(intact.treeOf(id))
        .filter((name) => lstatSync(path.join(intact.treeOf(id), name)).isSocket())
        .map((name) => ({ name })),
    ),
  },
  {
    does: 'stops deleting after a thousand files',
    caughtBy: ['history/many-files'],
    breaks: removesAfter((intact, id) => {
      const tree = intact.treeOf(id)
      const rest = existsSync(tree) ? namesIn(tree).slice(1000) : []
      const left = rest.find((name) => lstatSync(path.join(tree, name)).isFile())
      if (left !== undefined) renameSync(path.join(tree, left), path.join(intact.home, path.basename(left)))
    }),
  },
  {
    does: 'joins paths when it deletes',
    caughtBy: ['history/deeper-than-a-path'],
    breaks: (intact) => ({
      async remove(id, options) {
        const tree = intact.treeOf(id)
        const deep = isDeeperThanPaths(tree)
        await intact.remove(id, options)
        // The deletion itself is not broken: nothing else could delete what it left.
        if (deep) throw new SystemError(36, { syscall: 'unlink', path: tree })
      },
    }),
  },
  {
    does: 'writes as many bytes as it finds, whatever the header says',
    caughtBy: ['history/changing-while-read'],
    breaks: (intact) => ({ diff: (id) => hastyTar(intact.treeOf(id)) }),
  },
  {
    does: 'counts an init layer to its container',
    caughtBy: ['history/init-layer'],
    breaks: (intact) => ({
      diff: (id, parent, options) =>
        intact.diff(id, parent?.endsWith('-init') === true ? undefined : parent, options),
    }),
  },
  {
    does: 'says that layers share, and copies them',
    caughtBy: ['history/sharing-told-truly'],
    breaks: (intact) => ({ capabilities: { ...intact.capabilities, sharing: 'extents' } }),
  },
  {
    does: 'does not say why its diffs are slow',
    caughtBy: ['history/reason-for-slow-diffs'],
    breaks: (intact) => ({ capabilities: { ...intact.capabilities, diff: { native: false, reason: '' } } }),
  },
]
