import type { Driver, LayerRecord } from '@graphdriver/core'
import type { Invocation } from '../invocation.ts'
import { formatBytes, plural, shortDigest } from '../quantity.ts'
import { Session } from '../session.ts'
import type { Stores } from '../stores.ts'
import { stacksOf } from '../subject.ts'
import { table } from '../table.ts'

interface ImageRow {
  readonly id: string
  readonly names: readonly string[]
  readonly bytes: number
  /** Of layers that no other image has: what removing it gives back, where nothing stands on it. */
  readonly own: number
  readonly writable: number
}

interface WritableRow {
  readonly name: string
  /** What the filesystem has counted; undefined where it counts nothing for a layer. */
  readonly bytes: number | undefined
}

interface Taken {
  readonly images: readonly ImageRow[]
  readonly writable: readonly WritableRow[]
  /** Of all image layers, each once. */
  readonly layers: number
  readonly bytes: number
}

const nothing: Taken = { images: [], writable: [], layers: 0, bytes: 0 }

/** `graphdriver df`: what takes how much room, by what is recorded and counted already: no tree is walked. */
export async function df(invocation: Invocation): Promise<void> {
  await using session = await Session.openExisting(invocation)
  const taken =
    session === undefined ? nothing : await session.reading((stores) => take(stores, session.driver))
  invocation.output.result({ driver: session?.driver.name, ...taken }, () => textOf(taken))
}

async function take({ layers, images, references }: Stores, driver: Driver): Promise<Taken> {
  const all = layers.layers()
  const stackOf = stacksOf(all)
  const listed = images.list().map((image) => ({ image, stack: stackOf(image.chainId) }))
  const users = new Map<string, number>()
  for (const { stack } of listed)
    for (const { chainId } of stack) users.set(chainId, (users.get(chainId) ?? 0) + 1)
  const containers = layers.writableLayers()
  const writable: WritableRow[] = []
  for (const { name, mountId } of containers)
    writable.push({ name, bytes: (await driver.usage?.(mountId))?.bytes })
  return {
    images: listed.map(({ image: { id, size, chainId }, stack }) => ({
      id,
      names: references.namesOf(id),
      bytes: size,
      own: sum(stack.filter((layer) => users.get(layer.chainId) === 1)),
      writable: containers.filter(({ parent }) => parent !== undefined && parent === chainId).length,
    })),
    writable,
    layers: all.length,
    bytes: sum(all),
  }
}

function sum(layers: readonly LayerRecord[]): number {
  return layers.reduce((total, { diffSize }) => total + diffSize, 0)
}

function textOf({ images, writable, layers, bytes }: Taken): string {
  const rows = images.map((image) => [
    image.names[0] ?? shortDigest(image.id),
    formatBytes(image.bytes),
    formatBytes(image.bytes - image.own),
    formatBytes(image.own),
    String(image.writable),
  ])
  const own = writable.map(({ name, bytes: counted }) => [
    name,
    counted === undefined ? 'not counted' : formatBytes(counted),
  ])
  return [
    table(['IMAGE', 'SIZE', 'SHARED', 'ITS OWN', 'WRITABLE LAYERS'], rows),
    ...(own.length > 0 ? ['\n', table(['WRITABLE LAYER', 'SIZE'], own)] : []),
    `\n${plural(layers, 'layer')} of images, ${formatBytes(bytes)}\n`,
  ].join('')
}
