/** The short names in `l/`, which keep a mount's options within a page. */
import { randomBytes } from 'node:crypto'
import { lstatSync, symlinkSync, unlinkSync } from 'node:fs'
import { opendir } from 'node:fs/promises'
import path from 'node:path'
import { asLayerId, type LayerId } from '@graphdriver/core'
import { isSystemError } from '@graphdriver/sys'
import { layerPaths, linkForm, linksDirectory } from './layout.ts'
import { shortNameOf } from './record.ts'

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const linkLength = 26

/** 26 random characters of base32, 130 bits: nobody checks whether it is taken. */
export function randomLink(): string {
  return Array.from(randomBytes(linkLength), (byte) => alphabet[byte % alphabet.length]).join('')
}

/** Makes `l/<link>` lead to the layer; already there is success. */
export async function ensureLink(home: string, id: LayerId, link: string): Promise<void> {
  try {
    symlinkSync(`../${id}/diff`, path.join(linksDirectory(home), link))
  } catch (error) {
    if (!isSystemError(error, 'EEXIST')) throw error
  }
}

/** Takes `l/<link>` away. What is no link name is left alone: it came from a damaged file. */
export async function removeLink(home: string, link: string): Promise<void> {
  if (!linkForm.test(link)) return
  try {
    unlinkSync(path.join(linksDirectory(home), link))
  } catch (error) {
    if (!isSystemError(error, 'ENOENT')) throw error
  }
}

export function hasLink(home: string, link: string): Promise<boolean> {
  return isThere(path.join(linksDirectory(home), link))
}

/** Makes every link that is missing, as after a backup that left them out. @returns how many were */
export async function repairLinks(home: string): Promise<number> {
  let repaired = 0
  for await (const id of layerIds(home)) {
    const link = shortNameOf(home, id, layerPaths(home, id))
    if (link === undefined || !linkForm.test(link) || (await hasLink(home, link))) continue
    await ensureLink(home, id, link)
    repaired++
  }
  return repaired
}

/** Every directory in `home` that is a whole layer: `link` is in it before it gets its name. */
export async function* layerIds(home: string, signal?: AbortSignal): AsyncGenerator<LayerId> {
  for await (const entry of await opendir(home)) {
    signal?.throwIfAborted()
    const id = entry.isDirectory() ? asLayerId(entry.name) : undefined
    if (id !== undefined && (await isThere(path.join(home, id, 'link')))) yield id
  }
}

async function isThere(file: string): Promise<boolean> {
  try {
    lstatSync(file)
    return true
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return false
    throw error
  }
}
