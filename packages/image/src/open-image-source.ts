import { createReadStream, type Stats } from 'node:fs'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { decompress, detectCompression } from '@graphdriver/archive'
import { type CallOptions, isGraphDriverError } from '@graphdriver/core'
import { readRange } from './byte-range.ts'
import { DirectoryFiles } from './directory-files.ts'
import { DockerArchive } from './docker-archive.ts'
import { dockerManifestName } from './docker-manifest.ts'
import type { ImageSource } from './image-source.ts'
import { acceptedFormats, invalidImage } from './invalid-image.ts'
import { indexName, layoutName } from './oci-document.ts'
import { OciLayout } from './oci-layout.ts'
import type { Platform } from './platform.ts'
import { describeContent, looksLikeTar } from './source-format.ts'
import { spool } from './spool.ts'
import { TarFiles } from './tar-files.ts'

export interface OpenImageSourceOptions extends CallOptions {
  /** Where a compressed archive is unpacked while it is open; the system's directory by default. */
  readonly temporaryDirectory?: string | undefined
  /** How many bytes of a compressed archive may come of one; by default any number. @see `decompress` of the archive package */
  readonly maxExpansion?: number | undefined
  /** Which variant of an image; this host's by default. */
  readonly platform?: Platform | undefined
}

/**
 * Opens a docker save archive, an OCI layout directory, or a tar of one, and finds out by looking which it is. A
 * plain tar is read in place; a compressed one, or one from a pipe, is first written to a temporary file.
 *
 * @throws GD_IMAGE_INVALID for anything else
 */
export async function openImageSource(
  location: string,
  options: OpenImageSourceOptions = {},
): Promise<ImageSource> {
  options.signal?.throwIfAborted()
  const stats = await stat(location)
  if (stats.isDirectory()) return openDirectory(location, options)
  const files = await TarFiles.open(await openTar(location, stats, options), location, options)
  try {
    return tarSource(location, files, options)
  } catch (error) {
    await files[Symbol.asyncDispose]()
    throw error
  }
}

async function openDirectory(location: string, options: OpenImageSourceOptions): Promise<ImageSource> {
  const files = await DirectoryFiles.open(location)
  if ((await files.find(layoutName)) !== undefined && (await files.find(indexName)) !== undefined) {
    return new OciLayout(location, files, options.platform)
  }
  if ((await files.find(dockerManifestName)) !== undefined) {
    throw invalidImage(
      location,
      'is an unpacked docker save archive; pack it with: tar -C DIRECTORY -cf FILE .',
    )
  }
  throw invalidImage(location, `is a directory without '${layoutName}' and '${indexName}'; ${accepted}`)
}

const accepted = `accepted is ${acceptedFormats}`

/** A tar that can be read at any offset. */
async function openTar(location: string, stats: Stats, options: OpenImageSourceOptions): Promise<FileHandle> {
  if (stats.isFIFO()) return unpacked(location, createReadStream(location), options)
  if (!stats.isFile()) throw invalidImage(location, `is neither a file nor a directory; ${accepted}`)
  const file = await open(location, 'r')
  let kept = false
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, 0)
    const head = buffer.subarray(0, bytesRead)
    if (detectCompression(head) !== 'none') {
      return await unpacked(location, readRange(file, 0, stats.size, location, options), options)
    }
    if (!looksLikeTar(head)) throw invalidImage(location, `is ${describeContent(head)}; ${accepted}`)
    kept = true
    return file
  } finally {
    if (!kept) await file.close()
  }
}

async function unpacked(
  location: string,
  stream: AsyncIterable<Uint8Array>,
  options: OpenImageSourceOptions,
): Promise<FileHandle> {
  const { signal, maxExpansion } = options
  try {
    const file = await spool(
      decompress(stream, { signal, maxExpansion }),
      options.temporaryDirectory ?? tmpdir(),
      {
        signal,
      },
    )
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4096), 0, 4096, 0)
    const head = buffer.subarray(0, bytesRead)
    if (looksLikeTar(head)) return file
    await file.close()
    throw invalidImage(location, `holds ${describeContent(head)}; ${accepted}`)
  } catch (error) {
    if (!isGraphDriverError(error, 'GD_COMPRESSION_INVALID')) throw error
    throw invalidImage(location, `cannot be unpacked: ${error.message}`, error)
  }
}

function tarSource(location: string, files: TarFiles, options: OpenImageSourceOptions): ImageSource {
  const { index } = files
  if (index.file(dockerManifestName) !== undefined)
    return new DockerArchive(location, files, options.platform)
  if (index.file(layoutName) !== undefined && index.file(indexName) !== undefined) {
    return new OciLayout(location, files, options.platform)
  }
  if (!index.complete) throw invalidImage(location, 'is a truncated tar: it has no end marker')
  if (index.file('repositories') !== undefined) {
    throw invalidImage(location, 'was saved by Docker before 1.10; load it there and save it again')
  }
  const inner = [...index.names()].find((name) => /^[^/]+\/(?:manifest\.json|oci-layout)$/.test(name))
  const hint = inner === undefined ? '' : ` at its top, only in '${path.posix.dirname(inner)}'`
  throw invalidImage(
    location,
    `is a tar without '${dockerManifestName}' or '${layoutName}'${hint}; ${accepted}`,
  )
}
