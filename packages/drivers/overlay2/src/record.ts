/**
 * A layer's own files, read; and found again where a power cut has emptied them.
 *
 * Where the filesystem keeps names in order nobody waits for these files to be on the disk: a layer may then come out of a
 * power cut with its name and without what is in `link` and `lower`. The same is in names, which are there before the
 * layer's: its short name leads to it from `l/`, and `parent` is a symbolic link by the short name of the layer below.
 */
import { existsSync, readdirSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { asLayerId, type LayerId } from '@graphdriver/core'
import { isSystemError, writeAtomically } from '@graphdriver/sys'
import {
  layerNotFound,
  layerPaths,
  type LayerPaths,
  type LayerRecord,
  linkForm,
  linksDirectory,
  readIfThere,
} from './layout.ts'

/** @throws GD_LAYER_NOT_FOUND */
export async function readLayer(home: string, id: LayerId): Promise<LayerRecord> {
  return read(home, id).record
}

/** The same, and puts right what is not; where that cannot be written it stays for the next time. @throws as `readLayer` */
export async function readAndMend(home: string, id: LayerId): Promise<LayerRecord> {
  const { record, isFound } = read(home, id)
  if (!isFound) return record
  const paths = layerPaths(home, id)
  try {
    await writeAtomically(paths.link, record.link)
    if (record.lower.length > 0) await writeAtomically(paths.lower, record.lower.join(':'))
  } catch (error) {
    if (!isSystemError(error, 'ENOSPC', 'EDQUOT', 'EROFS')) throw error
  }
  return record
}

/** The short name of a layer that may have another name by now; `undefined` when it has none. */
export function shortNameOf(home: string, id: LayerId | undefined, { link }: LayerPaths): string | undefined {
  const text = readIfThere(link)
  if (text === undefined || linkForm.test(text) || id === undefined) return text
  return linkTo(home, id) ?? text
}

function read(home: string, id: LayerId): { readonly record: LayerRecord; readonly isFound: boolean } {
  const paths = layerPaths(home, id)
  const lower = readIfThere(paths.lower)
  // A file that is lost is as good as one that is empty, where the layer itself is there.
  const link = readIfThere(paths.link) ?? (isLinked(home, id) ? '' : undefined)
  if (link === undefined) throw layerNotFound(id)
  if (linkForm.test(link) && (lower === undefined || lower.startsWith('l/')))
    return { record: { link, lower: lower === undefined ? [] : lower.split(':') }, isFound: false }
  const record = {
    link: linkForm.test(link) ? link : (linkTo(home, id) ?? link),
    lower: lower === undefined ? [] : lowerOf(home, paths, lower),
  }
  return { record, isFound: record.link !== link || record.lower.join(':') !== (lower ?? '') }
}

/** @param lower what the file has */
function lowerOf(home: string, { parent: name }: LayerPaths, lower: string): readonly string[] {
  if (lower.startsWith('l/')) return lower.split(':')
  const below = linkText(name)
  const link = below === undefined ? '' : path.basename(below)
  const parent = linkForm.test(link) ? targetOf(home, link) : undefined
  if (parent === undefined) return lower === '' ? [] : lower.split(':')
  return [`l/${link}`, ...read(home, parent).record.lower]
}

/** Whether a layer is there by one of its names, though not by its file `link`. */
function isLinked(home: string, id: LayerId): boolean {
  return existsSync(layerPaths(home, id).diff) && linkTo(home, id) !== undefined
}

/** The short name that leads to a layer, looked for among all. */
function linkTo(home: string, id: LayerId): string | undefined {
  return readdirSync(linksDirectory(home)).find((link) => targetOf(home, link) === id)
}

function targetOf(home: string, link: string): LayerId | undefined {
  const [up, id, ...rest] = linkText(path.join(linksDirectory(home), link))?.split('/') ?? []
  return up === '..' && id !== undefined && rest.join('/') === 'diff' ? asLayerId(id) : undefined
}

function linkText(file: string): string | undefined {
  try {
    return readlinkSync(file)
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'EINVAL', 'ENOTDIR')) return undefined
    throw error
  }
}
