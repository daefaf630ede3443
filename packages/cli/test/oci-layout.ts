import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { hostPlatform } from '@graphdriver/image'

export interface Flaws {
  /** Instead of the gzipped layer. */
  readonly blob?: (gzipped: Buffer) => Buffer
  /** Instead of the digest of what is stored. */
  readonly digest?: string
  /** The layer is not stored. */
  readonly missing?: boolean
}

function digestOf(bytes: Buffer): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`
}

/** Writes an OCI layout of one layer, with a flaw if one is asked for. */
export async function ociLayout(directory: string, tar: Buffer, flaws: Flaws = {}): Promise<string> {
  const blobs = path.join(directory, 'blobs', 'sha256')
  await mkdir(blobs, { recursive: true })
  const add = async (bytes: Buffer): Promise<{ digest: string; size: number }> => {
    const digest = digestOf(bytes)
    await writeFile(path.join(blobs, digest.slice(7)), bytes)
    return { digest, size: bytes.length }
  }
  const { os, architecture } = hostPlatform()
  const blob = (flaws.blob ?? ((bytes) => bytes))(gzipSync(tar))
  const stored = flaws.missing === true ? { digest: digestOf(blob), size: blob.length } : await add(blob)
  const config = await add(
    Buffer.from(JSON.stringify({ os, architecture, rootfs: { type: 'layers', diff_ids: [digestOf(tar)] } })),
  )
  const manifest = await add(
    Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
        layers: [
          {
            mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
            ...stored,
            ...(flaws.digest === undefined ? {} : { digest: flaws.digest }),
          },
        ],
      }),
    ),
  )
  await writeFile(path.join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}')
  await writeFile(
    path.join(directory, 'index.json'),
    JSON.stringify({
      schemaVersion: 2,
      manifests: [{ mediaType: 'application/vnd.oci.image.manifest.v1+json', ...manifest }],
    }),
  )
  return directory
}
