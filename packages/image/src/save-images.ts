/**
 * Images as one tar that `docker load`, skopeo, podman and this project read: an OCI layout with Docker's manifest beside it, as
 * Docker writes since version 25. Layers are as they were registered, to the byte.
 */
import { TarWriter } from '@graphdriver/archive'
import { type CallOptions, type Digest, digestOf, type LayerStore } from '@graphdriver/core'
import type { ImageStore } from './image-store.ts'
import { layersOf } from './image-layers.ts'
import { indexName, layoutName, mediaTypes } from './oci-document.ts'
import type { ReferenceStore } from './reference-store.ts'

export interface SaveSource {
  readonly layers: LayerStore
  readonly images: ImageStore
  readonly references: ReferenceStore
}

export interface SavedImage {
  readonly id: Digest
  /** Those that go with it: what it was asked for by, if that was a name, else all that it has. */
  readonly names: readonly string[]
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

/**
 * The tar, in pieces. A layer that several images have is in it once.
 *
 * @throws GD_IMAGE_NOT_FOUND; GD_LAYER_CORRUPT while iterating, when a layer is not what was registered
 */
export async function* saveImages(
  source: SaveSource,
  saved: readonly SavedImage[],
  options: CallOptions = {},
): AsyncGenerator<Uint8Array, void, void> {
  const tar = new Pieces()
  const written = new Set<string>()
  const manifests: object[] = []
  const docker: object[] = []
  yield* tar.directory('blobs/')
  yield* tar.directory('blobs/sha256/')
  for (const { id, names } of saved) {
    const image = await source.images.get(id)
    const layers: Descriptor[] = []
    for (const { diffId, chainId } of layersOf(image)) {
      await using layer = await source.layers.get(chainId)
      const size = await layer.tarSize(options)
      layers.push({ mediaType: mediaTypes.layer, digest: diffId, size })
      if (written.has(diffId)) continue
      written.add(diffId)
      yield* tar.file(blobOf(diffId), size, layer.tar(options))
    }
    const config = Buffer.from(await source.images.configBytes(id))
    const configEntry = { mediaType: mediaTypes.config, digest: id, size: config.length }
    if (!written.has(id)) yield* tar.whole(blobOf(id), config)
    written.add(id)
    const manifest = jsonOf({ schemaVersion: 2, mediaType: mediaTypes.manifest, config: configEntry, layers })
    const digest = digestOf(manifest)
    if (!written.has(digest)) yield* tar.whole(blobOf(digest), manifest)
    written.add(digest)
    const entry = { mediaType: mediaTypes.manifest, digest, size: manifest.length }
    const annotated = names.map((name) => ({ ...entry, annotations: annotationsOf(name) }))
    manifests.push(...(annotated.length === 0 ? [entry] : annotated))
    docker.push({
      Config: blobOf(id),
      RepoTags: names.length === 0 ? null : names,
      Layers: layers.map((layer) => blobOf(layer.digest)),
    })
  }
  yield* tar.whole(indexName, jsonOf({ schemaVersion: 2, mediaType: mediaTypes.index, manifests }))
  yield* tar.whole('manifest.json', jsonOf(docker))
  yield* tar.whole(layoutName, jsonOf({ imageLayoutVersion: '1.0.0' }))
  yield* tar.end()
}

function blobOf(digest: string): string {
  return `blobs/${digest.replace(':', '/')}`
}

function annotationsOf(name: string): Readonly<Record<string, string>> {
  const tag = /:([^:/]+)$/.exec(name)?.[1]
  return {
    'io.containerd.image.name': name,
    ...(tag === undefined ? {} : { 'org.opencontainers.image.ref.name': tag }),
  }
}

function jsonOf(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

/** A tar, whose pieces are handed out as they are made. Nothing in it depends on when that is. */
class Pieces {
  #ready: Buffer[] = []
  readonly #writer = new TarWriter((chunk) => this.#ready.push(Buffer.from(chunk)))

  #entry(name: string, type: 'file' | 'directory', size: number): void {
    const mode = type === 'file' ? 0o644 : 0o755
    this.#writer.entry({
      name: Buffer.from(name),
      type,
      mode,
      uid: 0,
      gid: 0,
      size,
      mtimeNs: 0n,
      linkName: Buffer.alloc(0),
      devMajor: 0,
      devMinor: 0,
      xattrs: [],
    })
  }

  *directory(name: string): Generator<Uint8Array> {
    this.#entry(name, 'directory', 0)
    yield* this.#taken()
  }

  *whole(name: string, bytes: Buffer): Generator<Uint8Array> {
    this.#entry(name, 'file', bytes.length)
    this.#put(bytes)
    yield* this.#taken()
  }

  async *file(name: string, size: number, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    this.#entry(name, 'file', size)
    for await (const chunk of bytes) {
      this.#put(chunk)
      yield* this.#taken()
    }
  }

  *end(): Generator<Uint8Array> {
    this.#writer.finish()
    yield* this.#taken()
  }

  #put(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const space = this.#writer.space()
      const piece = bytes.subarray(at, at + space.length)
      space.set(piece)
      this.#writer.wrote(piece.length)
      at += piece.length
    }
  }

  *#taken(): Generator<Uint8Array> {
    yield* this.#ready
    this.#ready = []
  }
}
