/** An image in a registry, as the files of an OCI layout: what reads those reads this. */
import { type CallOptions, type Digest, digestHex, digestOf, parseDigest } from '@graphdriver/core'
import { checkDigest } from '../digest-check.ts'
import type { ImageFile, ImageFiles, ReadOptions } from '../image-files.ts'
import { indexName, layoutName, manifestTypes, indexTypes, maxManifestBytes } from '../oci-document.ts'
import type { Reference } from '../reference.ts'
import { readBlob } from './blob.ts'
import type { Downloads } from './downloads.ts'
import type { RegistryClient } from './client.ts'
import { registryFailure } from './failure.ts'

/** Bytes of a blob that is kept in memory once it was read: an image has few that are so small. */
const mostKept = 256 * 1024

const accept = [...manifestTypes, ...indexTypes].join(', ')

export class RegistryFiles implements ImageFiles {
  readonly #client: RegistryClient
  /** What is small, and known: the two files of a layout, and manifests. */
  readonly #known: Map<string, Buffer>
  /** Manifests that an index names: they are asked for by another address than blobs. */
  readonly #manifests: Set<string>
  readonly #sizes = new Map<string, number>()
  readonly #downloads: Downloads | undefined

  private constructor(
    client: RegistryClient,
    known: Map<string, Buffer>,
    manifests: Set<string>,
    downloads: Downloads | undefined,
  ) {
    this.#downloads = downloads
    this.#client = client
    this.#known = known
    this.#manifests = manifests
  }

  /** Asks for the manifest that a name means. @throws GD_REGISTRY_FAILED, GD_DIGEST_MISMATCH */
  static async open(
    client: RegistryClient,
    reference: Reference,
    options: CallOptions & { readonly downloads?: Downloads | undefined },
  ): Promise<RegistryFiles> {
    const word = reference.digest ?? reference.tag ?? 'latest'
    const { bytes, mediaType } = await readManifest(client, word, options)
    const digest = digestOf(bytes)
    if (reference.digest !== undefined) checkDigest(bytes, reference.digest, `manifest ${word}`)
    const descriptor = {
      mediaType,
      digest,
      size: bytes.length,
      annotations: { 'io.containerd.image.name': reference.familiar },
    }
    const known = new Map([
      [layoutName, Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
      [indexName, Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [descriptor] }))],
      [blobFile(digest), bytes],
    ])
    return new RegistryFiles(client, known, manifestsIn(bytes), options.downloads)
  }

  async find(name: string): Promise<ImageFile | undefined> {
    const known = this.#known.get(name)
    if (known !== undefined) return fileOf(known)
    const hex = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1]
    if (hex === undefined) return undefined
    const digest = parseDigest(`sha256:${hex}`)
    if (this.#manifests.has(digest)) {
      const { bytes } = await readManifest(this.#client, digest, {})
      for (const inner of manifestsIn(bytes)) this.#manifests.add(inner)
      this.#known.set(name, bytes)
      return fileOf(bytes)
    }
    const url = this.#client.url(`blobs/${digest}`)
    const size = this.#sizes.get(digest) ?? (await this.#sizeOf(url))
    this.#sizes.set(digest, size)
    const read = (options: ReadOptions = {}): AsyncIterable<Uint8Array> => {
      const from = (at: number): AsyncIterable<Uint8Array> => readBlob(this.#client, url, size, options, at)
      return this.#downloads?.read(digest, size, from) ?? from(0)
    }
    return { size, read: size > mostKept ? read : (options) => this.#kept(name, read(options)) }
  }

  async #sizeOf(url: string): Promise<number> {
    const response = await this.#client.request(url, { method: 'HEAD', accepted: [200] })
    return Number(response.headers.get('content-length'))
  }

  /** What is small may be the config, which is asked for several times. */
  async *#kept(name: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    const bytes = Buffer.concat(await Array.fromAsync(chunks))
    this.#known.set(name, bytes)
    yield bytes
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Nothing is open between two calls.
  }
}

async function readManifest(
  client: RegistryClient,
  word: string,
  { signal }: CallOptions,
): Promise<{ readonly bytes: Buffer; readonly mediaType: string }> {
  const response = await client.request(client.url(`manifests/${word}`), {
    headers: { accept },
    accepted: [200],
    signal,
  })
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of response.body ?? []) {
    length += chunk.length
    if (length > maxManifestBytes) {
      const { host } = client.endpoint
      const message = `registry ${host} has a manifest of more than ${maxManifestBytes} bytes under ${word}, which no image has`
      throw registryFailure(host, 'refused', message)
    }
    chunks.push(chunk)
  }
  const mediaType = (response.headers.get('content-type') ?? '').split(';', 1)[0]?.trim() ?? ''
  return { bytes: Buffer.concat(chunks), mediaType }
}

/** What it is not able to read, its reader will refuse. */
function manifestsIn(bytes: Buffer): Set<string> {
  try {
    const { manifests } = JSON.parse(bytes.toString()) as {
      manifests?: readonly { readonly digest?: string }[]
    }
    return new Set((manifests ?? []).flatMap(({ digest }) => digest ?? []))
  } catch {
    return new Set()
  }
}

function blobFile(digest: Digest): string {
  return `blobs/sha256/${digestHex(digest)}`
}

function fileOf(bytes: Buffer): ImageFile {
  return {
    size: bytes.length,
    async *read() {
      yield bytes
    },
  }
}
