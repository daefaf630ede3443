/** What a store holds, as its users see it, and whether that is whole. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, statfsSync } from 'node:fs'
import path from 'node:path'
import type { ChainId } from '@graphdriver/core'
import { mountsBelow } from '@graphdriver/core/conformance'
import type { Finding } from '@graphdriver/layer-store'
import { FILESYSTEM_MAGIC, readMountTable } from '@graphdriver/sys'
import { baseName } from './inputs.ts'
import type { OpenRoot } from './root.ts'

export interface State {
  /** Images, names and writable layers: what users have, each of them whole or not there. */
  readonly visible: readonly string[]
  /** Layers of images, whether an image needs them or not. */
  readonly layers: readonly ChainId[]
}

export function stateOf({ layers, images, references }: OpenRoot): State {
  return {
    visible: [
      ...images.list().map(({ id }) => `image ${id}`),
      ...references.list().map(({ name, id }) => `name ${name} of ${id}`),
      ...layers.writableLayers().map(({ name, parent }) => `writable layer ${name} on ${parent}`),
    ],
    layers: layers.layers().map(({ chainId }) => chainId),
  }
}

/**
 * Where between two states a store is. Between them is what has all that both have, and nothing that neither has. Layers that no
 * image needs make no difference.
 *
 * @returns undefined for what is not between them
 */
export function classify(found: State, before: State, after: State): 'between' | 'after' | undefined {
  if (!isBetween(found.layers, before.layers, after.layers)) return undefined
  if (!isBetween(found.visible, before.visible, after.visible)) return undefined
  const has = (one: readonly string[], other: readonly string[]): boolean =>
    other.every((item) => one.includes(item))
  const isAfter =
    has(found.layers, after.layers) && has(found.visible, after.visible) && has(after.visible, found.visible)
  return isAfter ? 'after' : 'between'
}

function isBetween(found: readonly string[], before: readonly string[], after: readonly string[]): boolean {
  const all = new Set([...before, ...after])
  return (
    found.every((item) => all.has(item)) &&
    before.every((item) => !after.includes(item) || found.includes(item))
  )
}

/** All that is wrong with what a store holds. Leftovers are not. */
export async function damagesOf({ layers, images }: OpenRoot): Promise<readonly string[]> {
  const found: string[] = []
  for (const { path: file, reason } of [...layers.skipped, ...images.skipped])
    found.push(`${file}: ${reason}`)
  for await (const finding of layers.checkRecords())
    if (finding.kind === 'damage') found.push(textOf(finding))
  for await (const finding of layers.checkContents()) found.push(textOf(finding))
  return found
}

function textOf({ object, expected, found }: Finding): string {
  return `${object}: expected ${expected}, found ${found}`
}

/** Deletes all but the base image, and what nobody needs. */
export async function reset({ layers, images, references }: OpenRoot): Promise<void> {
  await layers.collect()
  await images.collect()
  for (const { name } of layers.writableLayers()) await (await layers.getRWLayer(name)).release()
  const [base] = layers.layers()
  for (const { id, chainId } of images.list()) {
    if (chainId === base?.chainId) await references.tag(baseName, id)
    else await images.delete(id)
  }
  for (const { name } of references.list()) if (name !== baseName) await references.untag(name)
  for (const { chainId } of layers.layers().toReversed())
    if (chainId !== base?.chainId && layers.has(chainId)) await (await layers.get(chainId)).release()
}

/**
 * Names of everything under a root, those that are made at random all the same: two that are equal hold as many files of each
 * kind. What is mounted counts too.
 */
export function shapeOf(root: string): readonly string[] {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true, encoding: 'utf8' })
  const files = entries
    .filter(({ name }) => !passing.has(name))
    .map((entry) => {
      const kind = entry.isDirectory() ? '/' : entry.isSymbolicLink() ? '@' : ''
      return `${path.relative(root, path.join(entry.parentPath, entry.name))}${kind}`
    })
  const mounts = mountsBelow(root).map((mount) => `mounted: ${path.relative(root, mount)}`)
  return [...files, ...mounts, ...datasetsAt(root), ...mappedDevices()]
    .map((line) => line.replaceAll(/[0-9a-f]{64}|\b[A-Z2-7]{26}\b/g, '#'))
    .toSorted()
}

/** Files that are there or not by what was done last, whole or not: the device mapper's note of its last transaction. */
const passing: ReadonlySet<string> = new Set(['transaction-metadata'])

/** Lines that one of two shapes has more of. */
export function shapeDifference(found: readonly string[], expected: readonly string[]): readonly string[] {
  const count = new Map<string, number>()
  for (const line of found) count.set(line, (count.get(line) ?? 0) + 1)
  for (const line of expected) count.set(line, (count.get(line) ?? 0) - 1)
  return [...count].filter(([, n]) => n !== 0).map(([line, n]) => `${n > 0 ? 'left' : 'lost'}: ${line}`)
}

/** Datasets and snapshots of a root that is one. */
function datasetsAt(root: string): readonly string[] {
  if (statfsSync(root).type !== FILESYSTEM_MAGIC.zfs) return []
  const { source } = readMountTable().findLast(({ target }) => target === root) ?? {}
  if (source === undefined) return []
  const lines = execFileSync('zfs', ['list', '-H', '-r', '-t', 'all', '-o', 'name', source], {
    encoding: 'utf8',
  })
  return lines.trim().split('\n')
}

/** Of the device mapper; that of another root stays as it is meanwhile. */
function mappedDevices(): readonly string[] {
  return existsSync('/dev/mapper') ? readdirSync('/dev/mapper').map((name) => `device: ${name}`) : []
}
