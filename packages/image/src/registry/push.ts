/** Giving an image to a registry: blobs that it has not, then the manifest that makes them an image. */
import { createHash } from 'node:crypto'
import { createWriteStream, openAsBlob } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { compress } from '@graphdriver/archive'
import {
  type CallOptions,
  type Digest,
  digestOf,
  GraphDriverError,
  isGraphDriverError,
  parseDigest,
  traced,
} from '@graphdriver/core'
import { layersOf } from '../image-layers.ts'
import { mediaTypes } from '../oci-document.ts'
import { parseReference } from '../reference.ts'
import type { SaveSource } from '../save-images.ts'
import { RegistryClient, type RetryOptions, standardRetry } from './client.ts'
import { type CredentialSource, dockerCredentials } from './credentials.ts'
import { endpointsOf } from './endpoint.ts'
import { registryFailure } from './failure.ts'

export interface PushProgress {
  readonly digest: Digest
  readonly index: number
  readonly count: number
  /** `exists`: the registry had it already. */
  readonly state: 'start' | 'done' | 'exists'
  /** Bytes as they are sent. */
  readonly bytes: number
}

export interface PushOptions extends CallOptions {
  readonly plainHttp?: boolean | undefined
  readonly credentials?: CredentialSource | undefined
  readonly retry?: Partial<RetryOptions> | undefined
  /** Where a layer is compressed into, one at a time. */
  readonly temporaryDirectory?: string | undefined
  readonly onProgress?: ((progress: PushProgress) => void) | undefined
}

export interface PushedImage {
  readonly name: string
  /** Of its manifest in the registry. */
  readonly digest: Digest
  readonly layers: number
  /** Of these, the ones that were sent. */
  readonly sent: number
}

interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
}

/**
 * @param name with a tag, under which the registry will have it
 * @throws GD_IMAGE_NOT_FOUND, GD_INVALID_REFERENCE, GD_REGISTRY_FAILED, GD_LAYER_CORRUPT; the registry then has no such image, or
 *   the one that it had
 */
export async function pushImage(
  source: SaveSource,
  id: Digest,
  name: string,
  options: PushOptions = {},
): Promise<PushedImage> {
  const operation = { operation: 'push', driver: source.layers.driver.name, subject: name } as const
  return await traced(operation, () => push(source, id, name, options))
}

async function push(
  source: SaveSource,
  id: Digest,
  name: string,
  options: PushOptions,
): Promise<PushedImage> {
  const reference = parseReference(name)
  const [endpoint] = endpointsOf(reference, { plainHttp: options.plainHttp })
  if (reference.tag === undefined || reference.digest !== undefined || endpoint === undefined)
    throw new GraphDriverError(
      'GD_INVALID_REFERENCE',
      `'${name}' names no tag to push to; add one, such as :latest`,
      {
        reference: name,
      },
    )
  const client = new RegistryClient({
    endpoint,
    repository: reference.path,
    actions: 'pull,push',
    credentials: options.credentials ?? dockerCredentials,
    retry: { ...standardRetry, ...options.retry },
  })
  const image = await source.images.get(id)
  const scratch = await mkdtemp(path.join(options.temporaryDirectory ?? tmpdir(), 'graphdriver-push-'))
  try {
    const wanted = layersOf(image)
    const layers: Descriptor[] = []
    let sent = 0
    for (const [index, { chainId }] of wanted.entries()) {
      options.signal?.throwIfAborted()
      await using layer = await source.layers.get(chainId)
      const file = path.join(scratch, 'layer')
      const blob = await compressed(layer.tar(options), file, options.signal)
      const progress = { digest: blob.digest, index, count: wanted.length, bytes: blob.size }
      if (await has(client, blob.digest, options)) options.onProgress?.({ ...progress, state: 'exists' })
      else {
        options.onProgress?.({ ...progress, state: 'start' })
        await upload(client, blob.digest, () => openAsBlob(file), options)
        sent += 1
        options.onProgress?.({ ...progress, state: 'done' })
      }
      layers.push(blob)
    }
    const config = await source.images.configBytes(id)
    if (!(await has(client, id, options)))
      await upload(client, id, () => Promise.resolve(new Blob([Buffer.from(config)])), options)
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: mediaTypes.manifest,
        config: { mediaType: mediaTypes.config, digest: id, size: config.length },
        layers,
      }),
    )
    const digest = digestOf(manifest)
    await client.request(client.url(`manifests/${reference.tag}`), {
      method: 'PUT',
      headers: { 'content-type': mediaTypes.manifest },
      body: () => manifest,
      accepted: [201],
      signal: options.signal,
    })
    return { name: reference.familiar, digest, layers: layers.length, sent }
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
}

/** By gzip, into a file: its digest has to be known before it is sent. */
async function compressed(
  tar: AsyncIterable<Uint8Array>,
  file: string,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const hash = createHash('sha256')
  let size = 0
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of compress(tar, 'gzip', { signal })) {
      hash.update(chunk)
      size += chunk.length
      yield chunk
    }
  }
  await pipeline(Readable.from(counted(), { objectMode: false }), createWriteStream(file), { signal })
  const digest = parseDigest(`sha256:${hash.digest('hex')}`)
  return { mediaType: mediaTypes.gzipLayer, digest, size }
}

async function has(client: RegistryClient, digest: Digest, { signal }: CallOptions): Promise<boolean> {
  const url = client.url(`blobs/${digest}`)
  const { status } = await client.request(url, { method: 'HEAD', accepted: [200, 404], signal })
  return status === 200
}

/** In one piece; from its beginning when that breaks: what was begun is of no use then. */
async function upload(
  client: RegistryClient,
  digest: Digest,
  open: () => Promise<Blob>,
  { signal }: CallOptions,
): Promise<void> {
  const body = await open()
  for (let failures = 0; ; failures++) {
    const url = await beginUpload(client, signal)
    url.searchParams.set('digest', digest)
    try {
      await client.request(url.href, {
        method: 'PUT',
        headers: { 'content-type': 'application/octet-stream' },
        body: () => body,
        once: true,
        accepted: [201],
        signal,
      })
      return
    } catch (error) {
      if (failures >= client.retry.times || !mayPass(error)) throw error
      await client.wait(failures, signal)
    }
  }
}

async function beginUpload(client: RegistryClient, signal: AbortSignal | undefined): Promise<URL> {
  const begun = await client.request(client.url('blobs/uploads/'), {
    method: 'POST',
    accepted: [202],
    signal,
  })
  const location = begun.headers.get('location')
  if (location !== null) return new URL(location, `${client.endpoint.base}/`)
  const { host } = client.endpoint
  throw registryFailure(
    host,
    'refused',
    `registry ${host} does not say where to send a blob; it is no registry, or broken`,
  )
}

/** That the connection broke, or that it was busy. */
function mayPass(error: unknown): boolean {
  if (!isGraphDriverError(error, 'GD_REGISTRY_FAILED')) return false
  const { reason, status = 0 } = error.details
  return reason === 'unreachable' || (reason === 'refused' && (status >= 500 || status === 429))
}
