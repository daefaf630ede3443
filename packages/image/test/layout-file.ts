/** OCI layouts, as a map of files that a test can damage before it is written as a directory or a tar. */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { digestHex, digestOf } from '@graphdriver/core'
import type { SampleImage } from './sample-image.ts'
import { tar } from './tar-file.ts'

export type LayerForm = 'tar' | 'tar+gzip' | 'tar+zstd'

export interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
  readonly platform?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

const compressors = {
  tar: (bytes: Buffer) => bytes,
  'tar+gzip': gzipSync,
  'tar+zstd': zstdCompressSync,
} as const

export const ociManifest = 'application/vnd.oci.image.manifest.v1+json'
export const ociIndex = 'application/vnd.oci.image.index.v1+json'

export class LayoutFile {
  readonly files: Map<string, Buffer> = new Map([
    ['oci-layout', Buffer.from('{"imageLayoutVersion":"1.0.0"}')],
  ])

  blob(mediaType: string, bytes: Buffer): Descriptor {
    const digest = digestOf(bytes)
    this.files.set(`blobs/sha256/${digestHex(digest)}`, bytes)
    return { mediaType, digest, size: bytes.length }
  }

  json(mediaType: string, value: Readonly<Record<string, unknown>>): Descriptor {
    return this.blob(mediaType, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...value })))
  }

  manifest(image: SampleImage, form: LayerForm = 'tar'): Descriptor {
    const config = this.blob('application/vnd.oci.image.config.v1+json', image.configBytes)
    const layers = image.layers.map((bytes) => {
      return this.blob(`application/vnd.oci.image.layer.v1.${form}`, Buffer.from(compressors[form](bytes)))
    })
    return this.json(ociManifest, { config, layers })
  }

  index(...manifests: readonly Descriptor[]): this {
    this.files.set('index.json', Buffer.from(JSON.stringify({ schemaVersion: 2, manifests })))
    return this
  }

  writeDirectory(directory: string): string {
    for (const [name, bytes] of this.files) {
      const file = path.join(directory, name)
      mkdirSync(path.dirname(file), { recursive: true })
      writeFileSync(file, bytes)
    }
    return directory
  }

  tar(): Buffer {
    return tar(...Array.from(this.files, ([name, content]) => ({ name, content })))
  }
}

/** A layout with one image under one name. */
export function layoutOf(image: SampleImage, form: LayerForm = 'tar'): LayoutFile {
  const layout = new LayoutFile()
  const annotations = { 'org.opencontainers.image.ref.name': image.names[0] ?? 'sample:latest' }
  return layout.index({ ...layout.manifest(image, form), annotations })
}
