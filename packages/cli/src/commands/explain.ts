import { realpath } from 'node:fs/promises'
import path from 'node:path'
import { GraphDriverError, type LayerRecord, type WritableLayerRecord } from '@graphdriver/core'
import { isClaimed } from '../claim.ts'
import type { Invocation } from '../invocation.ts'
import { mountedAt } from '../mounted-at.ts'
import { imageNotFound } from '../not-found.ts'
import { formatBytes, shortDigest } from '../quantity.ts'
import { Session } from '../session.ts'
import type { Stores } from '../stores.ts'
import { findSubject, stacksOf, type Subject } from '../subject.ts'

interface Explanation {
  readonly what: string
  /** Why it is kept, and who uses it; nothing for what may go. */
  readonly because: readonly string[]
}

/** `graphdriver explain WORD|PATH`: whose it is, who holds it, and why it is kept. */
export async function explain(invocation: Invocation, word: string): Promise<void> {
  await using session = await Session.openExisting(invocation)
  if (session === undefined) throw imageNotFound(word)
  const { root } = session
  const explained = await session.reading(async (stores) =>
    explanationOf(await subjectOf(word, stores), stores, root),
  )
  invocation.output.result(explained, () => textOf(explained))
}

/** A path is that of the driver's layer that it leads to. */
async function subjectOf(word: string, stores: Stores): Promise<Subject> {
  if (!word.includes(path.sep) || (await isName(word, stores))) return await findSubject(word, stores)
  const parts = new Set((await realpath(word)).split(path.sep))
  const layer = stores.layers.layers().find(({ cacheId }) => parts.has(cacheId))
  if (layer !== undefined) return { kind: 'layer', layer }
  const writable = stores.layers
    .writableLayers()
    .find(({ mountId, initId }) => parts.has(mountId) || (initId !== undefined && parts.has(initId)))
  if (writable !== undefined)
    return { kind: 'writable', writable: await stores.layers.getRWLayer(writable.name) }
  throw new GraphDriverError(
    'GD_IMAGE_NOT_FOUND',
    `${word} is in no layer that is recorded here; graphdriver gc --dry-run tells what is left over`,
    {
      reference: word,
    },
  )
}

async function isName(word: string, { images, references }: Stores): Promise<boolean> {
  return await images.find(word, references).then(
    () => true,
    () => false,
  )
}

async function explanationOf(subject: Subject, stores: Stores, root: string): Promise<Explanation> {
  switch (subject.kind) {
    case 'image': {
      const { id, chainId, size } = subject.image
      const names = stores.references.namesOf(id).map((name) => `it is named ${name}`)
      return {
        what: `image ${shortDigest(id)}, ${formatBytes(size)}`,
        because: [...names, ...standingOn(chainId, stores)],
      }
    }
    case 'writable': {
      const { writable } = subject
      const place = await mountedAt(writable)
      return {
        what: `writable layer '${writable.name}', layer ${writable.mountId} of ${stores.layers.driver.name}`,
        because: [
          'nobody has removed it',
          ...((await isClaimed(root, writable.name)) ? ['a process runs in it'] : []),
          ...(place === undefined ? [] : [`it is mounted at ${place}`]),
        ],
      }
    }
    case 'layer': {
      const { layer } = subject
      return {
        what: whatOf(layer, stores),
        because: [...imagesOf(layer, stores), ...standingOn(layer.chainId, stores)],
      }
    }
  }
}

function whatOf({ diffId, cacheId, diffSize, depth }: LayerRecord, { layers }: Stores): string {
  return `layer ${shortDigest(diffId)}, ${formatBytes(diffSize)}, the ${depth}. from below, layer ${cacheId} of ${layers.driver.name}`
}

/** Images that have a layer, at the top or below. */
function imagesOf(layer: LayerRecord, { layers, images, references }: Stores): readonly string[] {
  const stackOf = stacksOf(layers.layers())
  return images
    .list()
    .filter((image) => stackOf(image.chainId).some(({ chainId }) => chainId === layer.chainId))
    .map(({ id }) => `image ${references.namesOf(id)[0] ?? shortDigest(id)} has it`)
}

function standingOn(chainId: string | undefined, { layers }: Stores): readonly string[] {
  const isHere = ({ parent }: LayerRecord | WritableLayerRecord): boolean =>
    parent !== undefined && parent === chainId
  return [
    ...layers
      .layers()
      .filter(isHere)
      .map(({ diffId }) => `layer ${shortDigest(diffId)} stands on it`),
    ...layers
      .writableLayers()
      .filter(isHere)
      .map(({ name }) => `writable layer '${name}' stands on it`),
  ]
}

function textOf({ what, because }: Explanation): string {
  const why = because.length === 0 ? ['nobody needs it: graphdriver gc'] : because
  return `${what}\n${why.map((line) => `  ${line}\n`).join('')}`
}
