import {
  chmodSync,
  copyFileSync,
  linkSync,
  lchownSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  closeSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import path from 'node:path'
import {
  type Driver,
  GraphDriverError,
  isGraphDriverError,
  type LayerId,
  type TarStream,
} from '@graphdriver/core'
import { collect, entryBlocks, inChunks } from '@graphdriver/core/conformance'
import { damagesApplied, type Mutant } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'
import { applyBreakoutMutants } from './apply-breakout.ts'
import {
  ancestorsOf,
  baseOf,
  editsApplied,
  filtersApplied,
  type Piece,
  piecesOf,
  spoilsApplied,
} from './tar-pieces.ts'

function statOf(file: string): Stats | undefined {
  return lstatSync(file, { throwIfNoEntry: false })
}

/** Does something to every file of a tree, the deepest first. */
function forEach(tree: string, action: (file: string, stat: Stats) => void): (() => void)[] {
  return readdirSync(tree, { recursive: true, encoding: 'utf8' })
    .map((name) => path.join(tree, name))
    .toSorted()
    .toReversed()
    .map((file) => () => {
      const stat = statOf(file)
      if (stat !== undefined) action(file, stat)
    })
}

function damagesEach(
  action: (file: string, stat: Stats) => void,
): (intact: ReferenceDriver) => Partial<Driver> {
  return damagesApplied((tree) => {
    for (const act of forEach(tree, action)) act()
  })
}

const opaque = '.wh..wh..opq'

function isWhiteout(piece: Piece): boolean {
  return baseOf(piece).startsWith('.wh.') && baseOf(piece) !== opaque
}

function plain({ name }: Piece): string {
  return path.posix.normalize(name).replace(/^\/+|\/+$/g, '')
}

/** Directories that the tar leaves out. */
function impliedBy(pieces: readonly Piece[]): ReadonlySet<string> {
  const listed = new Set(pieces.filter(({ type }) => type === '5').map(plain))
  return new Set(pieces.flatMap((piece) => ancestorsOf(plain(piece))).filter((name) => !listed.has(name)))
}

/** Does what a stream does to its consumer. */
function spoilsStream(spoil: (tar: TarStream) => TarStream): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    applyDiff: (id, parent, tar, options) => intact.applyDiff(id, parent, spoil(tar), options),
  })
}

const treeMutants: readonly Mutant[] = [
  {
    does: 'drops the fractions of times in a diff',
    caughtBy: ['apply/tree'],
    breaks: damagesEach((file, { mtimeMs }) =>
      lutimesSync(file, Math.floor(mtimeMs / 1000), Math.floor(mtimeMs / 1000)),
    ),
  },
  {
    does: 'gives the files of a diff their owner last',
    caughtBy: ['apply/set-id-bits', 'apply/xattrs'],
    breaks: damagesEach((file, { uid, gid }) => lchownSync(file, uid, gid)),
  },
  {
    does: 'lets the umask narrow what a diff makes',
    caughtBy: ['apply/umask'],
    breaks: damagesEach((file, stat) => {
      if (!stat.isSymbolicLink()) chmodSync(file, stat.mode & 0o7777 & ~process.umask())
    }),
  },
  {
    does: 'gives devices of a diff mode 0600',
    caughtBy: ['apply/devices'],
    breaks: damagesEach((file, stat) => {
      if (stat.isCharacterDevice() || stat.isBlockDevice()) chmodSync(file, 0o600)
    }),
  },
  {
    does: 'takes the type bits of a mode for permissions',
    caughtBy: ['apply/type-bits-in-mode'],
    breaks: spoilsApplied(({ pieces, tree }) => {
      for (const piece of pieces) {
        const isTyped = piece.mode > 0o7777 && piece.type !== '2'
        if (isTyped) chmodSync(path.join(tree, piece.name), (piece.mode >> 3) & 0o7777)
      }
    }),
  },
  {
    does: 'makes absolute targets of symbolic links relative',
    caughtBy: ['apply/symlink-targets-verbatim'],
    breaks: damagesEach((file, stat) => {
      const target = stat.isSymbolicLink() ? readlinkSync(file) : ''
      if (!target.startsWith('/')) return
      rmSync(file)
      symlinkSync(target.slice(1), file)
    }),
  },
  {
    does: 'takes the names in a diff for UTF-8',
    caughtBy: ['apply/names-of-any-bytes'],
    breaks: damagesApplied((tree) => {
      for (const name of readdirSync(tree, 'buffer')) {
        renameSync(Buffer.concat([Buffer.from(`${tree}/`), name]), path.join(tree, name.toString()))
      }
    }),
  },
  {
    does: 'loses the last byte of large files in a diff',
    caughtBy: ['apply/large-file'],
    breaks: damagesEach((file, { size }) => {
      if (size > 8 * 1024 * 1024) truncateSync(file, size - 1)
    }),
  },
  {
    does: 'stops after 2048 entries of a diff',
    caughtBy: ['apply/many-entries'],
    breaks: editsApplied(({ pieces }) => pieces.slice(0, 2048)),
  },
  {
    does: 'makes the directories that a diff leaves out with mode 0600',
    caughtBy: ['apply/implied-directories'],
    breaks: spoilsApplied(({ pieces, tree }) => {
      for (const name of impliedBy(pieces)) chmodSync(path.join(tree, name), 0o600)
    }),
  },
  {
    does: 'gives the directories that a diff leaves out mode 0755',
    caughtBy: ['apply/lower-directories-as-they-are'],
    breaks: spoilsApplied(({ pieces, tree }) => {
      for (const name of impliedBy(pieces)) chmodSync(path.join(tree, name), 0o755)
    }),
  },
  {
    does: 'empties a directory when its entry comes',
    caughtBy: ['apply/directory-over-directory', 'apply/root-entry'],
    breaks: editsApplied(({ pieces, tree }) => {
      for (const piece of pieces) {
        const directory = path.join(tree, piece.name)
        if (piece.type !== '5' || statOf(directory) === undefined) continue
        for (const name of readdirSync(directory)) rmSync(path.join(directory, name), { recursive: true })
      }
      return pieces
    }),
  },
  {
    does: 'gives directories of a diff their time before their content',
    caughtBy: ['apply/directory-time-last', 'apply/directory-over-directory'],
    breaks: spoilsApplied(({ pieces, tree }) => {
      for (const { name, type } of pieces)
        if (type === '5') lutimesSync(path.join(tree, name), new Date(), new Date())
    }),
  },
  {
    does: 'leaves what is there when something of another type comes',
    caughtBy: [
      'apply/replace-directory-by-file',
      'apply/replace-directory-by-symlink',
      'apply/replace-file-by-directory',
      'apply/replace-file-by-symlink',
      'apply/replace-file-by-fifo',
      'apply/replace-symlink-by-directory',
      'apply/replace-symlink-by-file',
      'apply/hidden-stays-hidden',
    ],
    breaks: filtersApplied((piece, { tree }) => {
      const stat = statOf(path.join(tree, plain(piece)))
      if (stat === undefined) return true
      return stat.isDirectory() ? piece.type === '5' : stat.isFile() && piece.type === '0'
    }),
  },
  {
    does: 'writes into a file that is there already',
    caughtBy: [
      'apply/replace-file-by-file',
      'apply/replace-symlink-by-file',
      'apply/replaced-name-of-a-linked-file',
    ],
    breaks: filtersApplied((piece, { tree }) => {
      const file = path.join(tree, plain(piece))
      if (piece.type !== '0' || statSync(file, { throwIfNoEntry: false })?.isFile() !== true) return true
      const fd = openSync(file, 'r+')
      writeSync(fd, piece.content)
      closeSync(fd)
      return false
    }),
  },
  {
    does: 'keeps the first of several entries of one name',
    caughtBy: ['apply/last-of-duplicates', 'apply/path-through-own-symlink'],
    breaks: filtersApplied(
      (piece, { pieces }) => pieces.find((other) => plain(other) === plain(piece)) === piece,
    ),
  },
  {
    does: 'copies what a diff links',
    caughtBy: ['apply/hard-links', 'apply/aufs-pseudo-link'],
    breaks: damagesEach((file, stat) => {
      if (!stat.isFile() || stat.nlink === 1) return
      copyFileSync(file, `${file}~`)
      renameSync(`${file}~`, file)
    }),
  },
  {
    does: 'takes no notice of what the entry of a hard link says of the file',
    caughtBy: ['apply/hard-link-has-the-last-word'],
    breaks: spoilsApplied(({ pieces, tree }) => {
      for (const { name, type, link } of pieces) {
        const target = pieces.find((other) => plain(other) === link)
        if (type === '1' && target?.type === '0') chmodSync(path.join(tree, name), target.mode)
      }
    }),
  },
  {
    does: 'makes a hard link to a symbolic link one to its target',
    caughtBy: ['apply/hard-link-to-symlink'],
    breaks: spoilsApplied(({ pieces, tree }) => {
      for (const { name, type, link } of pieces) {
        if (type !== '1' || statOf(path.join(tree, link))?.isSymbolicLink() !== true) continue
        rmSync(path.join(tree, name))
        linkSync(path.join(tree, readlinkSync(path.join(tree, link))), path.join(tree, name))
      }
    }),
  },
  {
    does: 'makes an empty file of a hard link whose target it has not seen',
    caughtBy: ['apply/hard-link-to-lower-file', 'apply/hard-link-before-target'],
    breaks: editsApplied(({ pieces }) => {
      const seen = new Set<string>()
      return pieces.map((piece) => {
        seen.add(plain(piece))
        const isKnown = piece.type !== '1' || seen.has(piece.link)
        return isKnown ? piece : { ...piece, blocks: entryBlocks({ name: piece.name }) }
      })
    }),
  },
  {
    does: 'covers symbolic links by directories that a diff leaves out',
    caughtBy: [
      'apply/path-through-lower-symlink',
      'apply/path-through-own-symlink',
      'apply/whiteout-through-symlink',
    ],
    breaks: filtersApplied((piece, { pieces, tree }) => {
      for (const name of ancestorsOf(plain(piece))) {
        if (statOf(path.join(tree, name))?.isSymbolicLink() === true) rmSync(path.join(tree, name))
      }
      return piece.type !== '2' || !pieces.some(({ name }) => name.startsWith(`${piece.name}/`))
    }),
  },
  {
    does: 'refuses names that begin with two dots',
    caughtBy: ['apply/ordinary-names-with-dots'],
    breaks: filtersApplied(({ name: entry }) => {
      if (entry.startsWith('..')) throw new GraphDriverError('GD_ARCHIVE_BREAKOUT', entry, { entry })
      return true
    }),
  },
  {
    does: 'leaves out entries with absolute names',
    caughtBy: ['apply/names-in-other-spellings'],
    breaks: filtersApplied(({ name }) => !name.startsWith('/')),
  },
  {
    does: 'brings back in a child what the diff of its parent deleted',
    caughtBy: ['apply/child-of-applied', 'apply/ten-layers', 'apply/whiteout-shows-nothing'],
    breaks(intact) {
      const deleted = new Map<LayerId, readonly string[]>()
      const create: Driver['create'] = async (id, options) => {
        await intact.create(id, options)
        const names = options?.parent === undefined ? [] : (deleted.get(options.parent) ?? [])
        for (const name of names) writeFileSync(path.join(intact.treeOf(id), name), '')
      }
      return {
        create,
        createReadWrite: create,
        async applyDiff(id, parent, tar, options) {
          const bytes = await collect(tar)
          const gone = piecesOf(bytes)
            .filter(isWhiteout)
            .map(({ name }) => name.replace('.wh.', ''))
          deleted.set(id, gone)
          return intact.applyDiff(id, parent, inChunks(bytes), options)
        },
      }
    },
  },
]

const whiteoutMutants: readonly Mutant[] = [
  {
    does: 'forgets whiteouts',
    caughtBy: [
      'apply/whiteout-file',
      'apply/whiteout-directory',
      'apply/whiteout-symlink',
      'apply/whiteout-through-symlink',
      'apply/whiteout-then-directory',
      'apply/whiteout-twice',
      'apply/file-then-whiteout',
      'apply/whiteouts-up-a-stack',
      'apply/ten-layers',
    ],
    breaks: filtersApplied((piece) => !isWhiteout(piece)),
  },
  {
    does: 'leaves whiteouts in the tree as files',
    caughtBy: ['apply/whiteout-of-nothing', 'apply/whiteout-shows-nothing'],
    breaks: spoilsApplied(({ pieces, tree }) => {
      for (const { name } of pieces.filter(isWhiteout)) writeFileSync(path.join(tree, name), '')
    }),
  },
  {
    does: 'takes every name with .wh. in it for a whiteout',
    caughtBy: ['apply/whiteout-names-like-it'],
    breaks: filtersApplied((piece) => isWhiteout(piece) || !/[^/]\.wh\./.test(piece.name)),
  },
  {
    does: 'carries out whiteouts when all else is done',
    caughtBy: [
      'apply/whiteout-then-file',
      'apply/whiteout-then-directory',
      'apply/whiteout-then-implied-directory',
    ],
    breaks: editsApplied(({ pieces }) => [
      ...pieces.filter((piece) => !isWhiteout(piece)),
      ...pieces.filter(isWhiteout),
    ]),
  },
  {
    does: 'carries out whiteouts before all else',
    caughtBy: ['apply/file-then-whiteout'],
    breaks: editsApplied(({ pieces }) => [
      ...pieces.filter(isWhiteout),
      ...pieces.filter((piece) => !isWhiteout(piece)),
    ]),
  },
  {
    does: 'forgets opaque markers',
    caughtBy: [
      'apply/opaque-hides-lower',
      'apply/opaque-keeps-own',
      'apply/opaque-after-whiteout',
      'apply/opaque-without-directory-entry',
      'apply/opaque-root',
      'apply/opaque-twice-down',
      'apply/whiteouts-up-a-stack',
    ],
    breaks: filtersApplied((piece) => baseOf(piece) !== opaque),
  },
  {
    does: 'hides by an opaque marker what came before it in its own diff',
    caughtBy: ['apply/opaque-keeps-own', 'apply/whiteouts-up-a-stack'],
    breaks: filtersApplied((piece, { pieces }) => {
      const marker = pieces.findIndex(
        (other) =>
          baseOf(other) === opaque &&
          piece.type !== '5' &&
          path.dirname(other.name) === path.dirname(piece.name),
      )
      return baseOf(piece) === opaque || marker <= pieces.indexOf(piece)
    }),
  },
  {
    does: 'shows the bookkeeping of AUFS',
    caughtBy: ['apply/aufs-bookkeeping', 'apply/aufs-pseudo-link'],
    breaks: spoilsApplied(({ pieces, tree }) => {
      for (const { name, type } of pieces) {
        if (name.startsWith('.wh..wh.') && type === '5') mkdirSync(path.join(tree, name), { recursive: true })
      }
    }),
  },
]

/** The header without its ustar prefix. */
function withoutPrefix(piece: Piece): Piece {
  const blocks = Buffer.from(piece.blocks)
  blocks.fill(0, 345, 500)
  blocks.fill(' ', 148, 156)
  const sum = blocks.subarray(0, 512).reduce((total, byte) => total + byte, 0)
  blocks.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return { ...piece, blocks }
}

const formatMutants: readonly Mutant[] = [
  {
    does: 'makes a file of a PAX global header',
    caughtBy: ['apply/pax-global-header'],
    breaks: spoilsApplied(({ pieces, tree }) => {
      if (pieces.some(({ extensions }) => extensions.toString('latin1', 156, 157) === 'g'))
        writeFileSync(path.join(tree, 'pax_global_header'), '')
    }),
  },
  {
    does: 'does not read the prefix of a ustar header',
    caughtBy: ['apply/ustar-prefix'],
    breaks: editsApplied(({ pieces }) => pieces.map(withoutPrefix)),
  },
  {
    does: 'passes over extension headers',
    caughtBy: [
      'apply/gnu-long-names',
      'apply/pax-long-names',
      'apply/pax-numbers',
      'apply/sparse-file',
      'apply/xattrs',
      'apply/tree',
    ],
    breaks: editsApplied(({ pieces }) => pieces.map((piece) => ({ ...piece, extensions: Buffer.alloc(0) }))),
  },
  {
    does: 'cuts owners to sixteen bits',
    caughtBy: ['apply/base-256-numbers', 'apply/pax-numbers'],
    breaks: damagesEach((file, { uid, gid }) => lchownSync(file, uid & 0xffff, gid & 0xffff)),
  },
  {
    does: 'cuts files at 4 GiB',
    caughtBy: ['apply/sparse-file'],
    breaks: damagesEach((file, { size }) => {
      if (size >= 2 ** 32) truncateSync(file, size % 2 ** 32)
    }),
  },
]

async function* wholeBlocks(tar: TarStream): TarStream {
  for await (const chunk of tar) yield chunk.subarray(0, chunk.length - (chunk.length % 512))
}

/** What does not come in the same turn does not come. */
async function* impatiently(tar: TarStream): TarStream {
  const chunks = tar[Symbol.asyncIterator]()
  for (;;) {
    const patience = new Promise<undefined>((resolve) => {
      process.nextTick(resolve, undefined)
    })
    const next = await Promise.race([chunks.next(), patience])
    if (next === undefined || next.done === true) return
    yield next.value
  }
}

async function* toEmptyChunk(tar: TarStream): TarStream {
  for await (const chunk of tar) {
    if (chunk.length === 0) return
    yield chunk
  }
}

async function* toEndMarker(tar: TarStream): TarStream {
  let zeros = 0
  for await (const chunk of tar) {
    yield chunk
    zeros = chunk.every((byte) => byte === 0) ? zeros + chunk.length : 0
    if (zeros >= 1024) return
  }
}

async function* keptChunks(tar: TarStream): TarStream {
  const chunks: Uint8Array[] = []
  for await (const chunk of tar) chunks.push(chunk)
  yield* chunks
}

/** Refuses what an honest driver takes. */
function refusing(isRefused: (bytes: Buffer) => boolean): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    async applyDiff(id, parent, tar, options) {
      const bytes = await collect(tar)
      if (isRefused(bytes)) throw new GraphDriverError('GD_ARCHIVE_INVALID', 'not this tar', {})
      return intact.applyDiff(id, parent, inChunks(bytes), options)
    },
  })
}

const streamMutants: readonly Mutant[] = [
  {
    does: 'takes every chunk of a stream for whole blocks',
    caughtBy: ['apply/chunks-of-one-byte', 'apply/slow-chunks', 'apply/reused-buffer'],
    breaks: spoilsStream(wholeBlocks),
  },
  {
    does: 'takes a stream that lets it wait for ended',
    caughtBy: ['apply/slow-chunks'],
    breaks: spoilsStream(impatiently),
  },
  {
    does: 'takes an empty chunk for the end of a stream',
    caughtBy: ['apply/empty-chunks'],
    breaks: spoilsStream(toEmptyChunk),
  },
  {
    does: 'keeps the chunks of a stream and reads them later',
    caughtBy: ['apply/reused-buffer'],
    breaks: spoilsStream(keptChunks),
  },
  {
    does: 'stops reading a stream at the end marker',
    caughtBy: ['apply/read-to-the-end'],
    breaks: spoilsStream(toEndMarker),
  },
  {
    does: 'refuses a tar without entries',
    caughtBy: ['apply/empty-tar'],
    breaks: refusing((bytes) => piecesOf(bytes).length === 0),
  },
  {
    does: 'wants an end marker',
    caughtBy: ['apply/no-end-marker'],
    breaks: refusing((bytes) => bytes.length < 1024 || bytes.subarray(-1024).some((byte) => byte !== 0)),
  },
]

const damageMutants: readonly Mutant[] = [
  {
    does: 'takes damage in a tar for its end',
    caughtBy: [
      'apply/hard-link-before-target',
      'apply/damage-cut-in-header',
      'apply/damage-cut-in-data',
      'apply/damage-cut-before-data',
      'apply/damage-cut-after-extension',
      'apply/damage-checksum',
      'apply/damage-random-bytes',
      'apply/damage-compressed',
      'apply/damage-negative-size',
      'apply/damage-number-field',
      'apply/damage-pax-record',
      'apply/damage-name-with-nul',
      'apply/damage-endless-extension',
      'apply/damage-unknown-type',
      'apply/damage-below-a-file',
      'apply/damage-below-own-file',
      'apply/damage-symlink-loop',
      'apply/damage-root-as-file',
      'apply/damage-whiteout-of-no-name',
      'apply/damage-whiteout-of-dot',
    ],
    breaks: (intact) => ({
      async applyDiff(...args) {
        try {
          return await intact.applyDiff(...args)
        } catch (error) {
          if (isGraphDriverError(error, 'GD_ARCHIVE_INVALID', 'GD_ARCHIVE_UNSUPPORTED')) return 0
          throw error
        }
      },
    }),
  },
  {
    does: 'does not say which entry of a tar is damaged',
    caughtBy: ['apply/damage-cut-in-data', 'apply/damage-below-a-file', 'apply/hard-link-before-target'],
    breaks: (intact) => ({
      async applyDiff(...args) {
        try {
          return await intact.applyDiff(...args)
        } catch (error) {
          if (!isGraphDriverError(error, 'GD_ARCHIVE_INVALID')) throw error
          throw new GraphDriverError('GD_ARCHIVE_INVALID', 'the tar is damaged', {})
        }
      },
    }),
  },
]

export const applyMutants: readonly Mutant[] = [
  {
    does: 'takes names that it says no file has',
    caughtBy: ['apply/impossible-name'],
    breaks: ({ capabilities }) => ({ capabilities: { ...capabilities, names: 'unicode' } }),
  },
  ...treeMutants,
  ...whiteoutMutants,
  ...formatMutants,
  ...streamMutants,
  ...applyBreakoutMutants,
  ...damageMutants,
]
