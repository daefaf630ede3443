import { GraphDriverError, type LayerRecord } from '@graphdriver/core'
import type { Image } from '@graphdriver/image'
import { familiarName } from '../familiar-name.ts'
import type { Invocation } from '../invocation.ts'
import { imageNotFound } from '../not-found.ts'
import { plural, shortDigest } from '../quantity.ts'
import { Session } from '../session.ts'
import type { Stores } from '../stores.ts'

export interface RmiFlags {
  readonly force?: boolean
}

interface RemovedImage {
  readonly untagged: readonly string[]
  readonly deleted: string | undefined
  readonly layers: readonly string[]
}

/** `graphdriver rmi IMAGE…`: takes the name away; with its last name goes the image, and the layers only it needs. */
export async function rmi(invocation: Invocation, words: readonly string[], flags: RmiFlags): Promise<void> {
  await using session = await Session.openExisting(invocation)
  if (session === undefined) throw imageNotFound(words[0] ?? '')
  const removed = await session.changing(async (stores) => {
    const all: RemovedImage[] = []
    for (const word of words) all.push(await remove(word, stores, flags.force ?? false))
    return all
  })
  invocation.output.result({ removed }, () => removed.map(lines).join(''))
}

async function remove(word: string, stores: Stores, force: boolean): Promise<RemovedImage> {
  const { images, references } = stores
  const image = await images.find(word, references)
  const names = references.namesOf(image.id)
  const name = names.find((one) => one === familiarName(word))
  if (name === undefined && names.length > 1 && !force) throw severalNames(word, names)
  const leaving = name === undefined || force ? names : [name]
  if (leaving.length < names.length) {
    await references.untag(name ?? word)
    return { untagged: leaving, deleted: undefined, layers: [] }
  }
  requireUnused(word, image, stores)
  for (const one of leaving) await references.untag(one)
  const layers: readonly LayerRecord[] = await images.delete(image.id)
  return { untagged: leaving, deleted: image.id, layers: layers.map(({ chainId }) => chainId) }
}

function requireUnused(reference: string, image: Image, { layers }: Stores): void {
  const users = layers
    .writableLayers()
    .filter(({ parent }) => parent !== undefined && parent === image.chainId)
    .map(({ name }) => name)
  if (users.length === 0) return
  throw new GraphDriverError(
    'GD_IMAGE_IN_USE',
    `image '${reference}' is below ${users.map((name) => `'${name}'`).join(', ')}; graphdriver rm them first`,
    { reference, users },
  )
}

function severalNames(reference: string, users: readonly string[]): GraphDriverError<'GD_IMAGE_IN_USE'> {
  return new GraphDriverError(
    'GD_IMAGE_IN_USE',
    `image '${reference}' has the names ${users.join(', ')}; remove it by name, or all of it with --force`,
    { reference, users },
  )
}

function lines({ untagged, deleted, layers }: RemovedImage): string {
  const names = untagged.map((name) => `untagged ${name}\n`).join('')
  return deleted === undefined
    ? names
    : `${names}deleted ${shortDigest(deleted)} and ${plural(layers.length, 'layer')}\n`
}
