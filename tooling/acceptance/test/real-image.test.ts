/**
 * The real image, in every form it can be had in, on every driver and filesystem: it loads, it runs, its tree is
 * the one that umoci makes, and every layer comes back byte for byte.
 */
import path from 'node:path'
import { chainIdOf, parseDiffId } from '@graphdriver/core'
import {
  type FilesystemKind,
  type LabImage,
  type LabLayer,
  compareTrees,
  debianImage,
  debianImageRequirements,
  filesystem,
  filesystemRequirements,
  need,
} from '@tooling/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { firstDifference } from '../src/byte-comparison.ts'
import { type Place, graphdriver } from '../src/graphdriver.ts'
import { openStore } from '../src/open-store.ts'
import { type ReferenceTree, exceptions, referenceTree } from '../src/reference-tree.ts'

interface Combination {
  readonly driver: string
  readonly kind: FilesystemKind
  readonly form: string
  readonly source: (image: LabImage) => string
}

const archive = { form: 'docker-archive', source: (image: LabImage) => image.dockerArchive }
const gzip = { form: 'OCI layout, gzip', source: (image: LabImage) => image.oci.gzip.layout }
const zstd = { form: 'OCI layout, zstd', source: (image: LabImage) => image.oci.zstd.layout }
const gzipArchive = { form: 'OCI archive, gzip', source: (image: LabImage) => image.oci.gzip.archive }
const zstdArchive = { form: 'OCI archive, zstd', source: (image: LabImage) => image.oci.zstd.archive }

/** Each driver meets each filesystem, and each form meets each driver; the product of all would prove no more. */
const combinations: readonly Combination[] = [
  { driver: 'overlay2', kind: 'ext4', ...archive },
  { driver: 'overlay2', kind: 'xfs', ...zstd },
  { driver: 'overlay2', kind: 'btrfs', ...gzipArchive },
  { driver: 'overlay2', kind: 'tmpfs', ...gzip },
  { driver: 'vfs', kind: 'ext4', ...gzip },
  { driver: 'vfs', kind: 'xfs', ...gzipArchive },
  { driver: 'vfs', kind: 'btrfs', ...archive },
  { driver: 'vfs', kind: 'tmpfs', ...zstdArchive },
]

const missing = need(...debianImageRequirements, { command: 'umoci' })
/** What the cases of this file share: the tree to compare with. */
const shared = new AsyncDisposableStack()
let image: LabImage
let reference: ReferenceTree

beforeAll(async () => {
  if (missing !== undefined) return
  image = await debianImage()
  reference = shared.use(await referenceTree(image))
})
afterAll(() => shared.disposeAsync())

function topOf(layers: readonly LabLayer[]): ReturnType<typeof chainIdOf> {
  return chainIdOf(layers.map(({ diffId }) => parseDiffId(diffId)))
}

describe.for(combinations)('$driver on $kind from $form (root, umoci)', ({ driver, kind, source }) => {
  const reason = missing ?? need(...filesystemRequirements(kind))
  const resources = new AsyncDisposableStack()
  let place: Place

  beforeAll(async () => {
    if (reason !== undefined) return
    // A driver that copies has six whole trees to keep.
    const own = resources.use(await filesystem(kind, { sizeMiB: 3072 }))
    place = { root: path.join(own.path, 'root'), driver }
    await graphdriver(place, 'load', source(image))
  })
  afterAll(() => resources.disposeAsync())

  test('python runs in the image', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const output = await graphdriver(place, 'run', image.reference, '--', 'python3', '-c', 'print(1)')
    expect(output).toBe('1')
  })

  test('the mounted tree is the one that umoci makes', async ({ skip }) => {
    skip(reason !== undefined, reason)
    await using store = await openStore(place)
    const top = topOf(image.layers)
    if (top === undefined) throw new Error('the image has layers')
    await using layer = await store.layers.get(top)
    await using mount = await layer.mount()
    expect(await compareTrees(reference.path, mount.path, { exceptions })).toEqual([])
  })

  test('every layer comes back byte for byte under its DiffID', async ({ skip }) => {
    skip(reason !== undefined, reason)
    await using store = await openStore(place)
    for (const [index, original] of image.layers.entries()) {
      const chain = topOf(image.layers.slice(0, index + 1))
      if (chain === undefined) throw new Error('a chain of one layer at least')
      await using layer = await store.layers.get(chain)
      expect(layer.diffId).toBe(original.diffId)
      expect(await firstDifference(layer.tar(), original.path)).toBeUndefined()
    }
  })
})
