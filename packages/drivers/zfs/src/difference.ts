/**
 * What may differ between a layer and its parent, told by ZFS: which files of the layer's dataset are not as in the snapshot
 * that it is a clone of. It compares the trees of blocks, and does not look at what they share.
 */
import { type BigIntStats, lstatSync } from 'node:fs'
import path from 'node:path'
import { touch, type Touched, untouched } from '@graphdriver/archive'
import { isSystemError, syncFilesystem } from '@graphdriver/sys'
import { changedObjects, createSnapshot, pathOfObject, readProperties } from '@graphdriver/sys/zfs'
import { letGo, ownSnapshot } from './construction.ts'

export interface Compared {
  readonly dataset: string
  /** Where it is mounted. */
  readonly tree: string
}

/**
 * Where the trees of a layer and of another, of which it is a clone, may differ.
 *
 * @param scratch a directory for what has no name
 * @returns undefined where ZFS cannot tell: the layer is no clone of the other, or a file with several names was changed, of
 *   which ZFS knows but one
 */
export function touchedSince(layer: Compared, parent: Compared, scratch: string): Touched | undefined {
  const origin = readProperties(layer.dataset)?.get('origin')
  if (typeof origin !== 'string' || !origin.startsWith(`${parent.dataset}@`)) return undefined
  const touched = untouched()
  for (const [own, other] of [
    [layer, parent],
    [parent, layer],
  ] as const) {
    for (const file of changedFiles(own, origin, scratch)) {
      const difference = differs(file, own.tree, other.tree)
      if (difference === undefined) return undefined
      // As if all were directories: a file has no names in it to be listed.
      if (difference) touch(touched, namesOf(file)).listed = true
    }
  }
  return touched
}

/** A snapshot of now is what can be compared; neighbours of what was changed are told of, too. */
function* changedFiles(
  { dataset, tree }: Compared,
  origin: string,
  scratch: string,
): Generator<string, void> {
  // What is only mapped into memory so far is to be in the snapshot.
  syncFilesystem(tree)
  const now = `${dataset}@${ownSnapshot()}`
  createSnapshot(now)
  try {
    for (const object of changedObjects(origin, now, scratch)) {
      const file = pathOfObject(now, object)
      if (file !== undefined) yield file
    }
  } finally {
    letGo(now)
  }
}

/** @returns undefined for a file that may have other names, or that is not found by its name */
function differs(file: string, own: string, other: string): boolean | undefined {
  const found = stat(path.join(own, file))
  if (found === undefined) return undefined
  const same = stat(path.join(other, file))
  if (same?.ino === found.ino && same.ctimeNs === found.ctimeNs) return false
  return found.isDirectory() || found.nlink === 1n ? true : undefined
}

function stat(file: string): BigIntStats | undefined {
  try {
    return lstatSync(file, { bigint: true })
  } catch (error) {
    // Attributes in a directory of their own, or a name that is no text.
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG')) return undefined
    throw error
  }
}

function namesOf(file: string): readonly Buffer[] {
  return file
    .split('/')
    .filter((name) => name !== '')
    .map((name) => Buffer.from(name))
}
