import path from 'node:path'
import { type CallOptions, digestHex } from '@graphdriver/core'
import { checkDigest } from './digest-check.ts'
import { type ImageFile, type ImageFiles, missingFile, readWhole } from './image-files.ts'
import { invalidImage } from './invalid-image.ts'
import type { JsonFailure } from './json.ts'
import {
  type Descriptor,
  type Index,
  type Manifest,
  maxManifestBytes,
  parseIndex,
  parseManifest,
} from './oci-document.ts'

/** More documents than any index needs, few enough to bound what a hostile one can ask for. */
const maxDocuments = 4096

/** The blobs of a layout: found by their digest alone, and verified against it. */
export class OciBlobs {
  readonly #files: ImageFiles
  readonly #source: string
  #documents = 0

  constructor(files: ImageFiles, source: string) {
    this.#files = files
    this.#source = source
  }

  /** @throws GD_IMAGE_INVALID when it is missing or has another size than its descriptor says */
  async find(descriptor: Descriptor): Promise<ImageFile> {
    const name = blobName(descriptor)
    const file = await this.#files.find(name)
    if (file === undefined) throw missingFile(this.#source, name)
    if (file.size === descriptor.size) return file
    const reason = `has ${file.size} bytes in '${name}' where ${descriptor.size} are promised; it is incomplete`
    throw invalidImage(this.#source, reason)
  }

  /** @throws GD_IMAGE_INVALID, GD_DIGEST_MISMATCH */
  async read(descriptor: Descriptor, limit: number, options: CallOptions): Promise<Uint8Array> {
    this.#documents += 1
    if (this.#documents > maxDocuments) {
      throw invalidImage(this.#source, `refers to more than ${maxDocuments} manifests`)
    }
    const name = blobName(descriptor)
    await this.find(descriptor)
    const bytes = await readWhole(this.#files, name, limit, this.#source, options)
    checkDigest(bytes, descriptor.digest, name)
    return bytes
  }

  async index(descriptor: Descriptor, options: CallOptions): Promise<Index> {
    const bytes = await this.read(descriptor, maxManifestBytes, options)
    return parseIndex(bytes, descriptor.mediaType, this.failureIn(blobName(descriptor)))
  }

  async manifest(descriptor: Descriptor, options: CallOptions): Promise<Manifest> {
    const bytes = await this.read(descriptor, maxManifestBytes, options)
    return parseManifest(bytes, descriptor.mediaType, this.failureIn(blobName(descriptor)))
  }

  failureIn(name: string): JsonFailure {
    return (reason, cause) => invalidImage(this.#source, `is not usable: in '${name}' ${reason}`, cause)
  }
}

/** Safe as a path, a digest being parsed. */
export function blobName(descriptor: Descriptor): string {
  return path.posix.join('blobs', 'sha256', digestHex(descriptor.digest))
}
