/** An OCI image layout: content-addressed blobs, and an index that names one image. */
import { mkdir, rename, stat, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { command } from '@graphdriver/core/conformance'
import { type Compression, compress } from './compression.ts'
import { imageConfig, platform } from './config.ts'
import { digestOf, fileDigest } from './digest.ts'
import { type LabLayer, type OciForms, imageName } from './lab-image.ts'

interface Descriptor {
  readonly mediaType: string
  readonly digest: string
  readonly size: number
}

const media = 'application/vnd.oci.image'

function blobPath(layout: string, digest: string): string {
  return path.join(layout, 'blobs', digest.replace(':', '/'))
}

async function writeBlob(layout: string, mediaType: string, content: string): Promise<Descriptor> {
  const digest = digestOf(content)
  await writeFile(blobPath(layout, digest), content)
  return { mediaType, digest, size: Buffer.byteLength(content) }
}

async function writeLayer(layout: string, layer: LabLayer, compression: Compression): Promise<Descriptor> {
  const blob = path.join(layout, 'blob')
  await compress(layer.path, compression, blob)
  const [digest, { size }] = [await fileDigest(blob), await stat(blob)]
  await rename(blob, blobPath(layout, digest))
  return { mediaType: `${media}.layer.v1.tar+${compression}`, digest, size }
}

/** Writes the layout into a new directory, then the same as one tar. @returns the files of the layers */
export async function writeOciLayout(
  { layout, archive }: OciForms,
  layers: readonly LabLayer[],
  compression: Compression,
): Promise<readonly string[]> {
  await mkdir(path.join(layout, 'blobs/sha256'), { recursive: true })
  const config = await writeBlob(layout, `${media}.config.v1+json`, imageConfig(layers))
  const blobs: Descriptor[] = []
  for (const layer of layers) blobs.push(await writeLayer(layout, layer, compression))
  const content = { schemaVersion: 2, mediaType: `${media}.manifest.v1+json`, config, layers: blobs }
  const manifest = {
    ...(await writeBlob(layout, content.mediaType, JSON.stringify(content))),
    platform,
    annotations: {
      // The specification's name is a tag within the layout; containerd and Docker add the whole name.
      'org.opencontainers.image.ref.name': imageName.tag,
      'io.containerd.image.name': `docker.io/library/${imageName.repository}:${imageName.tag}`,
    },
  }
  await writeFile(path.join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }))
  await writeFile(
    path.join(layout, 'index.json'),
    JSON.stringify({ schemaVersion: 2, manifests: [manifest] }),
  )
  await command('tar', ['--create', `--file=${archive}`, `--directory=${layout}`, '.'])
  return blobs.map(({ digest }) => blobPath(layout, digest))
}
