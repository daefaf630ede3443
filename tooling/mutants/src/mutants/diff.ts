import { lutimesSync } from 'node:fs'
import path from 'node:path'
import type { Driver, LayerId, TarStream } from '@graphdriver/core'
import { collect, mountsBelow } from '@graphdriver/core/conformance'
import { lgetxattr, llistxattr } from '@graphdriver/sys'
import { extract, pack } from 'tar-stream'
import { aspectsOf, mistakes, overlooks, pairOf, type Pair, pathsIn, statOf } from '../comparison.ts'
import { editsDiffs, type Mutant, type TarHeader } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'

interface Entry {
  readonly header: TarHeader
  readonly content: Buffer
}

interface Asked {
  readonly intact: ReferenceDriver
  readonly id: LayerId
  readonly parent: LayerId | undefined
}

/** Diffs whose entries are written anew: more, fewer, others, or in another order. */
function rewrites(
  rewrite: (entries: readonly Entry[], asked: Asked) => readonly Entry[],
): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    async *diff(id, parent, options) {
      const entries = await entriesOf(intact.diff(id, parent, options))
      const writer = pack()
      for (const { header, content } of rewrite(entries, { intact, id, parent })) {
        writer.entry({ ...header, size: content.length }, content)
      }
      writer.finalize()
      for await (const chunk of writer) if (chunk instanceof Uint8Array) yield chunk
    },
  })
}

async function entriesOf(tar: TarStream): Promise<readonly Entry[]> {
  const reader = extract()
  reader.end(await collect(tar))
  const entries: Entry[] = []
  for await (const entry of reader) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) if (chunk instanceof Uint8Array) chunks.push(Buffer.from(chunk))
    entries.push({ header: entry.header, content: Buffer.concat(chunks) })
  }
  return entries
}

/** Diffs whose bytes are changed on their way. */
function damagesDiffs(damage: (bytes: Buffer) => Buffer): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    async *diff(id, parent, options) {
      yield damage(await collect(intact.diff(id, parent, options)))
    },
  })
}

const nothing = Buffer.alloc(0)

function emptyFile(name: string): Entry {
  return { header: { name, type: 'file', mode: 0o600, mtime: new Date(0) }, content: nothing }
}

/** `d/x` to `d/.wh.x`. */
function whiteoutOf(name: string): string {
  return path.join(path.dirname(name), `.wh.${path.basename(name)}`)
}

function isWhiteout({ header }: Entry): boolean {
  return path.basename(header.name).startsWith('.wh.')
}

/** Without some of an entry's PAX records. */
function withoutPax(header: TarHeader, drop: (key: string) => boolean): TarHeader {
  const kept = Object.entries(header.pax ?? {}).filter(([key]) => !drop(key))
  return { ...header, pax: Object.fromEntries(kept) }
}

function withPax(header: TarHeader, more: Readonly<Record<string, string>>): TarHeader {
  return { ...header, pax: Object.assign({}, header.pax, more) }
}

function only(pair: Pair, ...aspects: readonly string[]): boolean {
  const found = aspectsOf(pair)
  return found.length > 0 && found.every((aspect) => aspects.includes(aspect))
}

export const diffMutants: readonly Mutant[] = [
  {
    does: 'overlooks changes of a mode alone',
    caughtBy: ['diff/mode-only', 'diff/directory-mode-only', 'changes/mode', 'changes/as-trees-differ'],
    breaks: overlooks((pair) => only(pair, 'mode')),
  },
  {
    does: 'overlooks changes of an owner alone',
    caughtBy: [
      'diff/owner-only',
      'diff/group-only',
      'diff/symlink-owner-only',
      'diff/chown-levels',
      'diff/directory-permissions',
      'changes/owner',
    ],
    breaks: overlooks((pair) => only(pair, 'owner')),
  },
  {
    does: 'overlooks new owners of symbolic links',
    caughtBy: ['diff/symlink-owner-only', 'diff/owners-and-modes', 'changes/owner'],
    breaks: overlooks((pair) => pair.after.isSymbolicLink() && only(pair, 'owner')),
  },
  {
    does: 'overlooks changes of a time alone',
    caughtBy: [
      'diff/mtime-only',
      'diff/diff-apply',
      'changes/mtime',
      'changes/many',
      'changes/directories-side-by-side',
    ],
    breaks: overlooks((pair) => only(pair, 'time')),
  },
  {
    does: 'compares times in whole seconds',
    caughtBy: ['diff/same-second-same-size', 'changes/same-second-same-size'],
    breaks: overlooks(
      (pair) =>
        only(pair, 'time') && pair.before.mtimeNs / 1_000_000_000n === pair.after.mtimeNs / 1_000_000_000n,
    ),
  },
  {
    does: 'overlooks extended attributes and where links point',
    caughtBy: [
      'diff/capability-only',
      'diff/xattr-only',
      'diff/directory-xattr-only',
      'diff/xattrs-replayed',
      'diff/symlink-target-only',
      'changes/capability',
      'changes/xattr',
      'changes/symlink-target',
    ],
    breaks: overlooks((pair) => aspectsOf(pair).length === 0),
  },
  {
    does: 'overlooks that a file is of another type',
    caughtBy: [
      'diff/file-to-directory',
      'diff/directory-to-file',
      'diff/file-to-symlink',
      'diff/symlink-to-file',
      'diff/directory-to-symlink',
      'diff/symlink-to-directory',
      'changes/type-changes',
      'changes/directory-to-file',
      'changes/directories-side-by-side',
    ],
    breaks: mistakes((truth, trees) =>
      truth.filter(({ path: name }) => {
        const pair = pairOf(trees, name)
        return pair === undefined || !aspectsOf(pair).includes('type')
      }),
    ),
  },
  {
    does: 'writes whiteouts after what took the place of the deleted',
    caughtBy: ['diff/file-made-anew', 'diff/rename-over', 'diff/replay-mixed', 'diff/read-write-layer'],
    breaks: rewrites((entries, { intact, parent }) =>
      entries.flatMap((entry) => {
        const { name, type } = entry.header
        const isNew = parent === undefined || statOf(intact.treeOf(parent), name) === undefined
        return isNew || type !== 'file' ? [entry] : [entry, emptyFile(whiteoutOf(name))]
      }),
    ),
  },
  {
    does: 'writes a whiteout before each new file',
    caughtBy: ['diff/made-and-deleted', 'diff/own-names-only', 'diff/renamed', 'diff/while-mounted'],
    breaks: rewrites((entries) =>
      entries.flatMap((entry) =>
        entry.header.type !== 'file' || isWhiteout(entry)
          ? [entry]
          : [emptyFile(whiteoutOf(entry.header.name)), entry],
      ),
    ),
  },
  {
    does: 'writes deletions as overlayfs keeps them',
    caughtBy: ['diff/whiteout', 'diff/whiteout-of-directory', 'diff/renamed', 'diff/own-names-only'],
    breaks: editsDiffs((header) =>
      path.basename(header.name).startsWith('.wh.')
        ? {
            ...header,
            name: header.name.replace('.wh.', ''),
            type: 'character-device',
            devmajor: 0,
            devminor: 0,
          }
        : header,
    ),
  },
  {
    does: 'writes a renamed file as a link to the old name',
    caughtBy: ['diff/renamed'],
    breaks: rewrites((entries) => {
      const gone = entries.find(isWhiteout)
      return entries.map((entry) => {
        if (gone === undefined || entry.header.type !== 'file' || isWhiteout(entry)) return entry
        const linkname = gone.header.name.replace('.wh.', '')
        return { header: { ...entry.header, type: 'link', linkname }, content: nothing }
      })
    }),
  },
  {
    does: 'begins names with ./',
    caughtBy: ['diff/names-relative', 'diff/whole-tree', 'diff/own-names-only'],
    breaks: editsDiffs((header) => ({ ...header, name: `./${header.name}` })),
  },
  {
    does: 'begins names with a slash',
    caughtBy: ['diff/names-relative', 'diff/unchanged-absent'],
    breaks: editsDiffs((header) => ({ ...header, name: `/${header.name}` })),
  },
  {
    does: 'puts a slash behind links to directories',
    caughtBy: ['diff/directories-end-in-slash'],
    breaks: editsDiffs((header) =>
      header.type === 'symlink' ? { ...header, name: `${header.name}/` } : header,
    ),
  },
  {
    does: 'has the root in its diffs',
    caughtBy: ['diff/no-root', 'diff/names-relative'],
    breaks: rewrites((entries) => [
      { header: { name: './', type: 'directory' }, content: nothing },
      ...entries,
    ]),
  },
  {
    does: 'writes directories after what is in them',
    caughtBy: ['diff/directories-first'],
    breaks: rewrites((entries) => entries.toReversed()),
  },
  {
    does: 'writes a directory again for each entry in it',
    caughtBy: ['diff/names-once', 'diff/whole-tree'],
    breaks: rewrites((entries) =>
      entries.flatMap((entry) => {
        const above = entries.find(({ header }) => header.name === `${path.dirname(entry.header.name)}/`)
        return above === undefined ? [entry] : [above, entry]
      }),
    ),
  },
  {
    does: 'leaves a file of its own in diffs',
    caughtBy: ['diff/own-names-only', 'diff/whole-tree', 'diff/sockets-left-out'],
    breaks: rewrites((entries) => [...entries, emptyFile('.reference')]),
  },
  {
    does: 'ends a diff with one block of zeros',
    caughtBy: ['diff/two-zero-blocks', 'diff/empty-tar', 'diff/unchanged-child'],
    breaks: damagesDiffs((bytes) => bytes.subarray(0, -512)),
  },
  {
    does: 'fills diffs up to 10 KiB',
    caughtBy: ['diff/empty-tar', 'diff/unchanged-child'],
    breaks: damagesDiffs((bytes) => Buffer.concat([bytes, Buffer.alloc(10_240 - (bytes.length % 10_240))])),
  },
  {
    does: 'ends a diff with other bytes than zeros',
    caughtBy: ['diff/two-zero-blocks'],
    breaks: damagesDiffs((bytes) => Buffer.concat([bytes, Buffer.alloc(512, 'end')])),
  },
  {
    does: 'takes names for UTF-8',
    caughtBy: ['diff/names-of-any-bytes'],
    breaks: editsDiffs((header) => header),
  },
  {
    does: 'cuts names at 100 bytes',
    caughtBy: ['diff/names', 'diff/long-paths'],
    breaks: editsDiffs((header) => ({
      ...withoutPax(header, (key) => key === 'path'),
      name: header.name.slice(0, 100),
    })),
  },
  {
    does: 'cuts link targets at 100 bytes',
    caughtBy: ['diff/long-paths'],
    breaks: editsDiffs((header) =>
      typeof header.linkname === 'string'
        ? { ...withoutPax(header, (key) => key === 'linkpath'), linkname: header.linkname.slice(0, 100) }
        : header,
    ),
  },
  {
    does: 'drops set-id and sticky bits',
    caughtBy: ['diff/owners-and-modes', 'diff/directory-mode-only', 'diff/directory-permissions'],
    breaks: editsDiffs((header) => ({ ...header, mode: (header.mode ?? 0) & 0o777 })),
  },
  {
    does: 'gives new directories to root',
    caughtBy: ['diff/directory-permissions', 'diff/group-only'],
    breaks: editsDiffs((header) => (header.type === 'directory' ? { ...header, uid: 0, gid: 0 } : header)),
  },
  {
    does: 'leaves out pipes',
    caughtBy: ['diff/special-files'],
    breaks: editsDiffs((header) => (header.type === 'fifo' ? undefined : header)),
  },
  {
    does: 'leaves out symbolic links',
    caughtBy: ['changes/as-the-diff', 'diff/file-to-symlink', 'diff/whole-tree'],
    breaks: editsDiffs((header) => (header.type === 'symlink' ? undefined : header)),
  },
  {
    does: 'drops extended attributes',
    caughtBy: [
      'diff/capability-only',
      'diff/xattr-only',
      'diff/directory-xattr-only',
      'diff/xattrs-replayed',
      'diff/no-attributes-of-the-host',
    ],
    breaks: editsDiffs((header) => withoutPax(header, (key) => key.startsWith('SCHILY.xattr.'))),
  },
  {
    does: 'carries its own marks in diffs',
    caughtBy: ['diff/no-attributes-of-its-own'],
    breaks: editsDiffs((header) =>
      header.type === 'directory' ? withPax(header, { 'SCHILY.xattr.trusted.overlay.opaque': 'y' }) : header,
    ),
  },
  {
    does: 'carries every extended attribute in diffs',
    caughtBy: ['diff/no-attributes-of-the-host'],
    breaks: rewrites((entries, { intact, id }) =>
      entries.map(({ header, content }) => {
        const file = path.join(intact.treeOf(id), header.name)
        if (isWhiteout({ header, content })) return { header, content }
        const found = llistxattr(file).map((name) => [
          `SCHILY.xattr.${name}`,
          lgetxattr(file, name)?.toString() ?? '',
        ])
        return { header: withPax(header, Object.fromEntries(found)), content }
      }),
    ),
  },
  {
    does: 'writes every name of a file as a file',
    caughtBy: ['diff/hard-links', 'diff/long-paths', 'diff/replay-mixed'],
    breaks: rewrites((entries) =>
      entries.map((entry) => {
        const first = entries.find(
          ({ header }) => entry.header.type === 'link' && header.name === entry.header.linkname,
        )
        return first === undefined
          ? entry
          : { header: { ...entry.header, type: 'file', linkname: '' }, content: first.content }
      }),
    ),
  },
  {
    does: 'leaves out files of which it has not every name',
    caughtBy: ['diff/link-to-lower-file'],
    breaks: rewrites((entries, { intact, id }) =>
      entries.filter(({ header }) => {
        const stat = statOf(intact.treeOf(id), header.name)
        if (stat === undefined || header.type !== 'file') return true
        const links = entries.filter((other) => other.header.linkname === header.name)
        return Number(stat.nlink) === links.length + 1
      }),
    ),
  },
  {
    does: 'ends a diff at the first socket',
    caughtBy: ['diff/sockets-left-out'],
    breaks: rewrites((entries, { intact, id }) => {
      const tree = intact.treeOf(id)
      const sockets = pathsIn(tree).filter((name) => statOf(tree, name)?.isSocket())
      return entries.filter(({ header }) => !sockets.some((name) => name < `/${header.name}`))
    }),
  },
  {
    does: 'cuts files at 1 MiB',
    caughtBy: ['diff/large-content', 'diff/left-early'],
    breaks: rewrites((entries) =>
      entries.map(({ header, content }) => ({ header, content: content.subarray(0, 1 << 20) })),
    ),
  },
  {
    does: 'gives whiteouts the time of the diff',
    caughtBy: ['diff/same-bytes-twice', 'diff/mounted-or-not'],
    breaks: (intact) => {
      // A clock that never shows the same second twice, as a slow enough caller sees it.
      let now = 1_600_000_000
      return rewrites((entries) => {
        const mtime = new Date(now++ * 1000)
        return entries.map((entry) => {
          const header = withoutPax(entry.header, (key) => key === 'mtime')
          return isWhiteout(entry) ? { ...entry, header: { ...header, mtime } } : entry
        })
      })(intact)
    },
  },
  {
    does: 'has no diff of a layer that is mounted',
    caughtBy: ['diff/while-mounted', 'diff/mounted-or-not'],
    breaks: (intact) => ({
      async *diff(id, parent, options) {
        if (mountsBelow(intact.mountPointOf(id)).length > 0) yield Buffer.alloc(1024)
        else yield* intact.diff(id, parent, options)
      },
    }),
  },
  {
    does: 'has no diff of a container’s layer',
    caughtBy: ['diff/read-write-layer', 'diff/while-mounted'],
    breaks: (intact) => {
      const containers = new Set<LayerId>()
      return {
        async createReadWrite(id, options) {
          await intact.create(id, options)
          containers.add(id)
        },
        async *diff(id, parent, options) {
          if (containers.has(id)) yield Buffer.alloc(1024)
          else yield* intact.diff(id, parent, options)
        },
      }
    },
  },
  {
    does: 'drops the part of a block that a chunk ends in',
    caughtBy: ['diff/any-chunks'],
    breaks: (intact) => ({
      applyDiff: (id, parent, tar, options) => intact.applyDiff(id, parent, wholeBlocks(tar), options),
    }),
  },
  {
    does: 'unmounts after a diff only when it was read to its end',
    caughtBy: ['diff/left-early'],
    breaks: (intact) => ({
      async *diff(id, parent, options) {
        await intact.get(id)
        yield* intact.diff(id, parent, options)
        await intact.put(id)
      },
    }),
  },
  {
    does: 'mounts for a diff before anybody reads it',
    caughtBy: ['diff/never-read'],
    breaks: (intact) => ({
      diff(id, parent, options) {
        const mounted = intact.get(id)
        return (async function* () {
          await using _ = await mounted
          yield* intact.diff(id, parent, options)
        })()
      },
    }),
  },
  {
    does: 'has one diff at a time, and others are empty',
    caughtBy: ['diff/two-at-once'],
    breaks: (intact) => {
      const running = new Set<LayerId>()
      return {
        async *diff(id, parent, options) {
          if (running.has(id)) return yield Buffer.alloc(1024)
          running.add(id)
          try {
            yield* intact.diff(id, parent, options)
          } finally {
            running.delete(id)
          }
        },
      }
    },
  },
  {
    does: 'gives files the time of their diff',
    caughtBy: ['diff/layers-unchanged'],
    breaks: (intact) => ({
      async *diff(id, parent, options) {
        yield* intact.diff(id, parent, options)
        const tree = intact.treeOf(id)
        for (const name of pathsIn(tree)) lutimesSync(path.join(tree, name), 1_600_000_000, 1_600_000_000)
      },
    }),
  },
]

async function* wholeBlocks(tar: TarStream): TarStream {
  for await (const chunk of tar) yield chunk.subarray(0, chunk.length - (chunk.length % 512))
}
