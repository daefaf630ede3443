/**
 * The real image, in every form it can be had in, on every driver and filesystem: it loads, it runs, its tree is
 * the one that umoci makes, and every layer comes back byte for byte.
 */
import path from 'node:path'
import {
  type FilesystemKind,
  type LabFilesystem,
  type LabImage,
  compareTrees,
  debianImage,
  debianImageRequirements,
  filesystem,
  filesystemRequirements,
  need,
} from '@tooling/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Place, graphdriver } from '../src/graphdriver.ts'
import { openStore } from '../src/open-store.ts'
import { type ReferenceTree, exceptions, referenceTree } from '../src/reference-tree.ts'
import { chainOf, returnedLayers } from '../src/returned-layers.ts'

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
let image: LabImage
let reference: ReferenceTree | undefined

beforeAll(async () => {
  if (missing !== undefined) return
  image = await debianImage()
  reference = await referenceTree(image)
})
afterAll(() => reference?.[Symbol.asyncDispose]())

describe.for(combinations)('$driver on $kind from $form (root, umoci)', ({ driver, kind, source }) => {
  const reason = missing ?? need(...filesystemRequirements(kind))
  let own: LabFilesystem | undefined
  let place: Place

  beforeAll(async () => {
    if (reason !== undefined) return
    // A driver that copies has six whole trees to keep.
    own = await filesystem(kind, { sizeMiB: 3072, storage: 'memory' })
    place = { root: path.join(own.path, 'root'), driver }
    await graphdriver(place, 'load', source(image))
  })
  afterAll(() => own?.[Symbol.asyncDispose]())

  test('python runs in the image', async ({ skip }) => {
    skip(reason !== undefined, reason)
    const output = await graphdriver(place, 'run', image.reference, '--', 'python3', '-c', 'print(1)')
    expect(output).toBe('1')
  })

  test('the mounted tree is the one that umoci makes', async ({ skip }) => {
    skip(reason !== undefined, reason)
    await using store = await openStore(place)
    await using layer = await store.layers.get(chainOf(image.layers))
    await using mount = await layer.mount()
    expect(await compareTrees(reference?.path ?? 'no tree', mount.path, { exceptions })).toEqual([])
  })

  test('every layer comes back byte for byte under its DiffID', async ({ skip }) => {
    skip(reason !== undefined, reason)
    await using store = await openStore(place)
    expect(await returnedLayers(store, image)).toEqual(image.layers.map(() => 'the same bytes'))
  })
})
