import path from 'node:path'
import type { Compression } from './compression.ts'

/** A layer as an uncompressed tar on disk. */
export interface LabLayer {
  readonly name: string
  /** `sha256:` and the digest of the tar. */
  readonly diffId: string
  /** The tar. */
  readonly path: string
}

export interface OciForms {
  /** A directory. */
  readonly layout: string
  /** The same as one tar. */
  readonly archive: string
}

/** Where an image stands, in each form that it is written in. */
export interface LabImage {
  /** Its name in each of them. */
  readonly reference: string
  /** Base first. */
  readonly layers: readonly LabLayer[]
  readonly dockerArchive: string
  /** With compressed layers; only benchmarks have it. */
  readonly dockerArchiveGzip: string
  readonly oci: Readonly<Record<Compression, OciForms>>
}

/** The name in archives; OCI layouts hold the tag alone. */
export const imageName = { repository: 'graphdriver-lab', tag: 'latest' } as const

function ociForms(directory: string, compression: Compression): OciForms {
  const layout = path.join(directory, `oci-${compression}`)
  return { layout, archive: `${layout}.tar` }
}

export function layerTar(directory: string, name: string): string {
  return path.join(directory, 'layers', `${name}.tar`)
}

/** The image whose files are in a directory. */
export function imageIn(directory: string, layers: readonly Omit<LabLayer, 'path'>[]): LabImage {
  return {
    reference: `${imageName.repository}:${imageName.tag}`,
    layers: layers.map(({ name, diffId }) => ({ name, diffId, path: layerTar(directory, name) })),
    dockerArchive: path.join(directory, 'docker-archive.tar'),
    dockerArchiveGzip: path.join(directory, 'docker-archive-gzip.tar'),
    oci: { gzip: ociForms(directory, 'gzip'), zstd: ociForms(directory, 'zstd') },
  }
}
