import { type CallOptions, digestOf } from '@graphdriver/core'
import { type ImageConfig, maxConfigBytes, parseImageConfig } from './image-config.ts'
import { type ImageFiles, readWhole } from './image-files.ts'
import type { ImageSource, SourceImage, SourceLayer } from './image-source.ts'
import { invalidImage } from './invalid-image.ts'
import { blobName, OciBlobs } from './oci-blobs.ts'
import { bestOf, type Candidate, candidatesOf } from './oci-candidate.ts'
import {
  type Descriptor,
  indexName,
  kindOf,
  layoutName,
  type Manifest,
  maxManifestBytes,
  parseIndex,
  parseLayout,
} from './oci-document.ts'
import { nameOf } from './oci-names.ts'
import { hostPlatform, type Platform } from './platform.ts'
import { otherPlatform, requireLayerCount, requireOs } from './requirements.ts'
import { StoredLayer } from './stored-layer.ts'

/** An OCI image layout, as a directory or in a tar. */
export class OciLayout implements ImageSource {
  readonly format = 'oci-layout'
  readonly path: string
  readonly #files: ImageFiles
  readonly #platform: Platform

  constructor(path: string, files: ImageFiles, platform: Platform | undefined) {
    this.path = path
    this.#files = files
    this.#platform = platform ?? hostPlatform()
  }

  async images(options: CallOptions = {}): Promise<readonly SourceImage[]> {
    const blobs = new OciBlobs(this.#files, this.path)
    const choices = await this.#choices(blobs, options)
    const chosen = new Map<Descriptor['digest'], { descriptor: Descriptor; names: Set<string> }>()
    for (const { name, candidates } of choices) {
      const best = bestOf(candidates, this.#platform)
      // Images without a name are told apart by nothing: all are meant. Under a name, the first counts.
      for (const { descriptor } of name === undefined ? best : best.slice(0, 1)) {
        const image = chosen.get(descriptor.digest) ?? { descriptor, names: new Set<string>() }
        if (name !== undefined) image.names.add(name)
        chosen.set(descriptor.digest, image)
      }
    }
    if (chosen.size === 0) throw this.#nothing(choices.flatMap(({ candidates }) => candidates))
    const images: SourceImage[] = []
    for (const { descriptor, names } of chosen.values()) {
      images.push(await this.#image(blobs, descriptor, [...names], options))
    }
    return images
  }

  /** What there is to choose from: under each name, under none, and in each index without a name. */
  async #choices(blobs: OciBlobs, options: CallOptions): Promise<readonly Choice[]> {
    parseLayout(await this.#read(layoutName, options), blobs.failureIn(layoutName))
    const index = parseIndex(await this.#read(indexName, options), undefined, blobs.failureIn(indexName))
    const choices = new Map<string, { name: string | undefined; candidates: Candidate[] }>()
    for (const descriptor of index.manifests) {
      const name = nameOf(descriptor, this.path)
      const key = name ?? (kindOf(descriptor) === 'index' ? descriptor.digest : '')
      const choice = choices.get(key) ?? { name, candidates: [] }
      choice.candidates.push(...(await candidatesOf(blobs, descriptor, this.path, options)))
      choices.set(key, choice)
    }
    return [...choices.values()]
  }

  #nothing(candidates: readonly Candidate[]): Error {
    const offered = candidates.flatMap(({ platform }) => (platform === undefined ? [] : [platform]))
    if (offered.length === 0) return invalidImage(this.path, `lists no image in '${indexName}'`)
    return otherPlatform(this.path, this.#platform, offered)
  }

  async #image(
    blobs: OciBlobs,
    descriptor: Descriptor,
    names: readonly string[],
    options: CallOptions,
  ): Promise<SourceImage> {
    const manifest = await blobs.manifest(descriptor, options)
    if (kindOf(manifest.config) !== 'config') {
      throw invalidImage(this.path, `has '${manifest.config.mediaType}' where an image has its config`)
    }
    const configBytes = await blobs.read(manifest.config, maxConfigBytes, options)
    const config = parseImageConfig(configBytes, blobs.failureIn(blobName(manifest.config)))
    requireOs(config, this.#platform.os, this.path)
    const layers = await this.#layers(blobs, manifest, config)
    return { id: digestOf(configBytes), config, configBytes, names, layers }
  }

  async #layers(blobs: OciBlobs, manifest: Manifest, config: ImageConfig): Promise<readonly SourceLayer[]> {
    requireLayerCount(config, manifest.layers.length, this.path)
    const layers: SourceLayer[] = []
    for (const [at, descriptor] of manifest.layers.entries()) {
      const diffId = config.rootfs.diff_ids[at]
      if (diffId === undefined) continue
      if (kindOf(descriptor) !== 'layer') {
        throw invalidImage(
          this.path,
          `has a layer of the type '${descriptor.mediaType}', which is not known here`,
        )
      }
      const file = await blobs.find(descriptor)
      layers.push(new StoredLayer(diffId, blobName(descriptor), file, descriptor.digest))
    }
    return layers
  }

  #read(name: string, options: CallOptions): Promise<Uint8Array> {
    return readWhole(this.#files, name, maxManifestBytes, this.path, options)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]()
  }
}

interface Choice {
  readonly name: string | undefined
  readonly candidates: readonly Candidate[]
}
