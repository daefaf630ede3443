/**
 * The JSON documents of an OCI image layout, and Docker's of the same shape.
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/image-layout.md (and descriptor.md, image-index.md, manifest.md)
 */
import { type Digest, parseDigest } from '@graphdriver/core'
import { type JsonFailure, type JsonValue, parseJson } from './json.ts'
import type { Platform } from './platform.ts'

/** Registries refuse larger ones. */
export const maxManifestBytes: number = 4 * 1024 * 1024

export const layoutName = 'oci-layout'
export const indexName = 'index.json'

/** What is written here. */
export const mediaTypes = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  config: 'application/vnd.oci.image.config.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
  gzipLayer: 'application/vnd.oci.image.layer.v1.tar+gzip',
} as const

/** A pointer to a blob. */
export interface Descriptor {
  readonly mediaType: string
  readonly digest: Digest
  readonly size: number
  readonly platform: Platform | undefined
  readonly annotations: ReadonlyMap<string, string>
}

export interface Index {
  readonly manifests: readonly Descriptor[]
}

export interface Manifest {
  readonly config: Descriptor
  readonly layers: readonly Descriptor[]
}

export const indexTypes: readonly string[] = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
]
export const manifestTypes: readonly string[] = [
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
]
const configTypes: readonly string[] = [
  'application/vnd.oci.image.config.v1+json',
  'application/vnd.docker.container.image.v1+json',
]
const layerTypeForm =
  /^application\/vnd\.(?:oci\.image\.layer\.(?:nondistributable\.)?v1\.tar(?:\+gzip|\+zstd)?|docker\.image\.rootfs\.(?:foreign\.)?diff\.tar(?:[.+](?:gzip|zstd))?)$/

export type DescriptorKind = 'index' | 'manifest' | 'config' | 'layer'

/** What a descriptor points to; `undefined` for what is no part of an image, such as a signature. */
export function kindOf(descriptor: Descriptor): DescriptorKind | undefined {
  const { mediaType } = descriptor
  if (indexTypes.includes(mediaType)) return 'index'
  if (manifestTypes.includes(mediaType)) return 'manifest'
  if (configTypes.includes(mediaType)) return 'config'
  return layerTypeForm.test(mediaType) ? 'layer' : undefined
}

/** @throws what `fail` makes */
export function parseLayout(bytes: Uint8Array, fail: JsonFailure): void {
  const version = parseJson(bytes, fail).field('imageLayoutVersion')
  if (!version.string().startsWith('1.')) throw version.fail(`is '${version.string()}'; only 1.x is known`)
}

/** @throws what `fail` makes */
export function parseIndex(bytes: Uint8Array, mediaType: string | undefined, fail: JsonFailure): Index {
  const document = documentOf(bytes, mediaType, fail)
  for (const key of ['config', 'layers']) rejectField(document, key, 'an index')
  return { manifests: document.field('manifests').list().map(descriptor) }
}

/** @throws what `fail` makes */
export function parseManifest(bytes: Uint8Array, mediaType: string, fail: JsonFailure): Manifest {
  const document = documentOf(bytes, mediaType, fail)
  for (const key of ['manifests', 'fsLayers']) rejectField(document, key, 'a manifest')
  return {
    config: descriptor(document.field('config')),
    layers: document.field('layers').list().map(descriptor),
  }
}

/**
 * A document that could be read as two kinds is refused, as is one that calls itself another kind than its
 * descriptor does (CVE-2021-41190).
 */
function documentOf(bytes: Uint8Array, mediaType: string | undefined, fail: JsonFailure): JsonValue {
  const document = parseJson(bytes, fail)
  const version = document.field('schemaVersion')
  if (version.count() !== 2) throw version.fail(`is ${version.count()}; only 2 is known`)
  const own = document.field('mediaType')
  const text = own.text()
  if (text !== undefined && mediaType !== undefined && text !== mediaType) {
    throw own.fail(`is '${text}' where its descriptor says '${mediaType}'`)
  }
  return document
}

function rejectField(document: JsonValue, key: string, kind: string): void {
  const field = document.field(key)
  if (!field.absent) throw field.fail(`has no place in ${kind}`)
}

function descriptor(value: JsonValue): Descriptor {
  const annotations = value.field('annotations').entries()
  return {
    mediaType: value.field('mediaType').string(),
    digest: value.field('digest').parsed(parseDigest),
    size: value.field('size').count(),
    platform: value.field('platform').optional(platform),
    annotations: new Map(annotations.map(([name, text]) => [name, text.string()])),
  }
}

function platform(value: JsonValue): Platform {
  return {
    os: value.field('os').string(),
    architecture: value.field('architecture').string(),
    variant: value.field('variant').text(),
  }
}
