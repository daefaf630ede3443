/**
 * Drivers that are careless with hostile tars. They do what a tar says for the entries in question, by path and as the
 * host resolves it, but only where that leads to what the cases have put there to be hit.
 */
import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  copyFileSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import path from 'node:path'
import type { Driver } from '@graphdriver/core'
import { collect, inChunks } from '@graphdriver/core/conformance'
import type { Mutant } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'
import { ancestorsOf, baseOf, type Piece, piecesOf, tarOf } from './tar-pieces.ts'

/** @returns whether the entry is dealt with; the others are left to the intact driver */
type Careless = (piece: Piece, root: string) => boolean

/** Takes entry by entry, so that each finds what those before it have made. */
function careless(deal: Careless): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    async applyDiff(id, parent, tar, options) {
      const bytes = await collect(tar)
      await using mount = await intact.get(id)
      for (const piece of piecesOf(bytes)) {
        if (deal(piece, mount.path)) continue
        await intact.applyDiff(id, parent, inChunks(tarOf([piece])), options)
      }
      return 0
    },
  })
}

/** What a mutant may touch: the victim and the neighbour of the cases. */
function isTarget(file: string): boolean {
  return /\/(?:victim|neighbour)(?:\/|$)/.test(file)
}

function make({ type, link, mode, content }: Piece, root: string, target: string): void {
  switch (type) {
    case '0':
      writeFileSync(target, content)
      return
    case '1':
      linkSync(path.join(root, link), target)
      return
    case '2':
      symlinkSync(link, target)
      return
    case '3':
    case '4':
      execFileSync('mknod', [target, type === '3' ? 'c' : 'b', '1', '3'])
      return
    case '5':
      mkdirSync(target, { recursive: true })
      chmodSync(target, mode)
      return
    case '6':
      execFileSync('mkfifo', [target])
  }
}

function empty(directory: string): void {
  for (const name of readdirSync(directory)) rmSync(path.join(directory, name), { recursive: true })
}

/** Removes what a whiteout or an opaque marker at this path names. */
function remove(piece: Piece, directory: string): void {
  const name = baseOf(piece).slice('.wh.'.length)
  if (name === '.wh..opq') empty(directory)
  else if (name === '..') {
    const neighbour = path.join(directory, '..', 'neighbour')
    if (isTarget(neighbour)) empty(neighbour)
  } else rmSync(path.join(directory, name), { recursive: true, force: true })
}

function isSymlink(file: string): boolean {
  return lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() === true
}

/** Where the host finds the directory of a path. */
function realDirectory(file: string): string {
  try {
    return realpathSync.native(path.posix.dirname(file.replace(/\/$/, '')))
  } catch {
    return ''
  }
}

export const applyBreakoutMutants: readonly Mutant[] = [
  {
    does: 'joins the names in a tar to the path of the layer',
    caughtBy: [
      'apply/breakout-file-name-up',
      'apply/breakout-file-name-slash-up',
      'apply/breakout-file-name-over-file',
      'apply/breakout-file-name-climbs-late',
      'apply/breakout-file-name-in-pax',
      'apply/breakout-file-name-of-neighbour',
      'apply/breakout-directory-name-up',
      'apply/breakout-symlink-name-up',
      'apply/breakout-hard-link-name-up',
      'apply/breakout-fifo-name-up',
      'apply/breakout-device-name-up',
      'apply/breakout-aufs-pseudo-link-up',
    ],
    breaks: careless((piece, root) => {
      const target = path.join(root, piece.name)
      if (!piece.name.includes('..') || !isTarget(target)) return false
      make(piece, root, target)
      return true
    }),
  },
  {
    does: 'takes absolute names in a tar for those of the host',
    caughtBy: ['apply/breakout-file-name-absolute'],
    breaks: careless((piece, root) => {
      if (!piece.name.startsWith('/') || piece.name.includes('..') || !isTarget(piece.name)) return false
      make(piece, root, piece.name)
      return true
    }),
  },
  {
    does: 'links to what the host finds at the target of a hard link',
    caughtBy: [
      'apply/breakout-hard-link-up',
      'apply/breakout-hard-link-slash-up',
      'apply/breakout-hard-link-absolute',
      'apply/breakout-hard-link-file-through',
      'apply/breakout-hard-link-symlink-through',
      'apply/breakout-hard-link-hard-link-through',
      'apply/breakout-hard-link-replaced',
      'apply/breakout-symlink-hard-link-through',
      'apply/breakout-lower-symlink-hard-link',
    ],
    breaks: careless((piece, root) => {
      const target = path.join(root, piece.name)
      if (piece.type === '0' && (lstatSync(target, { throwIfNoEntry: false })?.nlink ?? 1) > 1) {
        writeFileSync(target, piece.content)
        return true
      }
      if (piece.type !== '1') return false
      const onHost = isTarget(piece.link) && path.isAbsolute(piece.link) && !piece.link.includes('..')
      linkSync(onHost ? piece.link : path.join(root, piece.link), target)
      return true
    }),
  },
  {
    does: 'carries out whiteouts by path',
    caughtBy: [
      'apply/breakout-whiteout-up',
      'apply/breakout-whiteout-slash-up',
      'apply/breakout-whiteout-of-dotdot',
      'apply/breakout-opaque-up',
    ],
    breaks: careless((piece, root) => {
      const directory = path.join(root, path.posix.dirname(piece.name))
      const isOutside = isTarget(directory) || baseOf(piece) === '.wh...'
      if (!baseOf(piece).startsWith('.wh.') || !isOutside) return false
      remove(piece, directory)
      return true
    }),
  },
  {
    does: 'goes where the host finds symbolic links to lead',
    caughtBy: [
      'apply/breakout-whiteout-through-symlink',
      'apply/breakout-opaque-through-symlink',
      'apply/breakout-symlink-absolute',
      'apply/breakout-directory-over-symlink',
      'apply/breakout-symlink-chain',
      'apply/breakout-directory-becomes-symlink',
      'apply/breakout-dotdot-after-symlink',
      'apply/breakout-device-through-symlink',
      'apply/breakout-lower-symlink',
      'apply/breakout-lower-symlink-absolute',
      'apply/breakout-lower-symlink-magic',
      'apply/breakout-lower-symlink-whiteout',
      'apply/breakout-lower-symlink-opaque',
      'apply/breakout-symlink-file-through',
      'apply/breakout-symlink-symlink-through',
      'apply/breakout-symlink-replaced',
    ],
    breaks: careless((piece, root) => {
      const target = `${root}/${piece.name}`.replace(/\/$/, '')
      const isLed = ancestorsOf(piece.name).some((name) => isSymlink(`${root}/${name}`))
      if (isLed && isTarget(realDirectory(target))) {
        if (baseOf(piece).startsWith('.wh.')) remove(piece, realDirectory(target))
        else make(piece, root, target)
        return true
      }
      const isReplacing = isSymlink(target) && (piece.type === '0' || piece.type === '5')
      if (!isReplacing || !isTarget(realpathSync.native(target))) return false
      if (piece.type === '5') chmodSync(target, piece.mode)
      else writeFileSync(target, piece.content)
      return true
    }),
  },
  {
    does: 'copies what a symbolic link in a tar points to',
    caughtBy: ['apply/breakout-symlink-up', 'apply/breakout-symlink-slash-up'],
    breaks: careless((piece, root) => {
      const source = path.join(root, path.posix.dirname(piece.name), piece.link)
      const isFile = statSync(source, { throwIfNoEntry: false })?.isFile() === true
      if (piece.type !== '2' || !isTarget(source) || !isFile) return false
      copyFileSync(source, path.join(root, piece.name))
      return true
    }),
  },
]
