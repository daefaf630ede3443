import { type CallOptions, type Digest, digestOf, isGraphDriverError, parseDigest } from '@graphdriver/core'
import { checkDigest } from './digest-check.ts'
import { type DockerManifestItem, dockerManifestName, parseDockerManifest } from './docker-manifest.ts'
import { type ImageConfig, maxConfigBytes, parseImageConfig } from './image-config.ts'
import { missingFile, readWhole } from './image-files.ts'
import type { ImageSource, SourceImage, SourceLayer } from './image-source.ts'
import { invalidImage } from './invalid-image.ts'
import { type JsonFailure } from './json.ts'
import { maxManifestBytes } from './oci-document.ts'
import { hostPlatform, type Platform } from './platform.ts'
import { parseReference } from './reference.ts'
import { requireArchitecture, requireLayerCount, requireOs } from './requirements.ts'
import { StoredLayer } from './stored-layer.ts'
import type { TarFiles } from './tar-files.ts'

/** What `docker save` writes, before and since Docker 25 (which puts an OCI layout beside it). */
export class DockerArchive implements ImageSource {
  readonly format = 'docker-archive'
  readonly path: string
  readonly #files: TarFiles
  readonly #platform: Platform | undefined

  constructor(path: string, files: TarFiles, platform: Platform | undefined) {
    this.path = path
    this.#files = files
    this.#platform = platform
  }

  async images(options: CallOptions = {}): Promise<readonly SourceImage[]> {
    const manifest = await this.#read(dockerManifestName, maxManifestBytes, options)
    const items = parseDockerManifest(manifest, this.#failureIn(dockerManifestName))
    if (items.length === 0) throw invalidImage(this.path, `lists no image in '${dockerManifestName}'`)
    const images: SourceImage[] = []
    for (const item of items) images.push(await this.#image(item, options))
    return images
  }

  async #image(item: DockerManifestItem, options: CallOptions): Promise<SourceImage> {
    const configBytes = await this.#read(item.config, maxConfigBytes, options)
    const promised = digestInConfigName(item.config)
    if (promised !== undefined) checkDigest(configBytes, promised, item.config)
    const config = parseImageConfig(configBytes, this.#failureIn(item.config))
    requireOs(config, (this.#platform ?? hostPlatform()).os, this.path)
    // Only on demand: archives are made for other architectures too, and an emulator may be there to run them.
    if (this.#platform !== undefined) requireArchitecture(config, this.#platform, this.path)
    return {
      id: digestOf(configBytes),
      config,
      configBytes,
      names: item.repoTags.map((name) => this.#name(name)),
      layers: await this.#layers(item, config),
    }
  }

  async #layers(item: DockerManifestItem, config: ImageConfig): Promise<readonly SourceLayer[]> {
    requireLayerCount(config, item.layers.length, this.path)
    const layers: SourceLayer[] = []
    for (const [at, diffId] of config.rootfs.diff_ids.entries()) {
      const name = item.layers[at] ?? ''
      const file = await this.#files.find(name)
      if (file === undefined) throw missingFile(this.path, name)
      layers.push(new StoredLayer(diffId, name, file, digestInBlobName(name)))
    }
    return layers
  }

  #name(name: string): string {
    try {
      return parseReference(name).familiar
    } catch (error) {
      if (!isGraphDriverError(error, 'GD_INVALID_REFERENCE')) throw error
      throw invalidImage(
        this.path,
        `names an image wrongly in '${dockerManifestName}': ${error.message}`,
        error,
      )
    }
  }

  #read(name: string, limit: number, options: CallOptions): Promise<Uint8Array> {
    return readWhole(this.#files, name, limit, this.path, options)
  }

  #failureIn(name: string): JsonFailure {
    return (reason, cause) => invalidImage(this.path, `is not usable: in '${name}' ${reason}`, cause)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#files[Symbol.asyncDispose]()
  }
}

/** Since Docker 25 files are named by their digest; a config always was. */
function digestInBlobName(name: string): Digest | undefined {
  const hex = /^(?:\.?\/)*blobs\/sha256\/([0-9a-f]{64})$/.exec(name)?.[1]
  return hex === undefined ? undefined : parseDigest(`sha256:${hex}`)
}

function digestInConfigName(name: string): Digest | undefined {
  const hex = /^([0-9a-f]{64})\.json$/.exec(name)?.[1]
  return hex === undefined ? digestInBlobName(name) : parseDigest(`sha256:${hex}`)
}
