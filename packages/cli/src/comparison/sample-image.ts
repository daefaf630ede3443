/** An image that every driver is measured with: its layer's tar. */
import { createHash } from 'node:crypto'
import type { TarStream } from '@graphdriver/core'
import { pack } from 'tar-stream'

/** How much there is in it. */
export interface SampleSize {
  /** Small files, twenty to a directory. */
  readonly files: number
  /** Of each of them. */
  readonly fileBytes: number
  /** Of the one that all containers read. */
  readonly sharedBytes: number
}

interface EntryHeader {
  readonly name: string
  readonly mode: number
  readonly type?: 'directory'
}

/** Its name in the image. */
export const sharedFile = 'shared'

export function contentBytes({ files, fileBytes, sharedBytes }: SampleSize): number {
  return files * fileBytes + sharedBytes
}

/** In memory, so that making it is not what is measured. */
export async function sampleTar({
  files,
  fileBytes,
  sharedBytes,
}: SampleSize): Promise<readonly Uint8Array[]> {
  const tar = pack()
  const chunks = Array.fromAsync(tar as AsyncIterable<Uint8Array>)
  await fill(tar, files, fileBytes, sharedBytes)
  return chunks
}

export async function* streamOf(chunks: readonly Uint8Array[]): TarStream {
  yield* chunks
}

async function fill(
  tar: ReturnType<typeof pack>,
  files: number,
  bytes: number,
  shared: number,
): Promise<void> {
  const add = (header: EntryHeader, content?: Buffer): Promise<void> =>
    new Promise((resolve, reject) => {
      const done = (error?: Error | null): void => (error ? reject(error) : resolve())
      if (content === undefined) tar.entry(header, done)
      else tar.entry({ ...header, size: content.length }, content, done)
    })
  for (let at = 0; at < files; at++) {
    const directory = `directory-${Math.floor(at / 20)}`
    if (at % 20 === 0) await add({ name: directory, type: 'directory', mode: 0o755 })
    await add({ name: `${directory}/file-${at}`, mode: 0o644 }, noise(bytes, at))
  }
  await add({ name: sharedFile, mode: 0o644 }, noise(shared, files))
  tar.finalize()
}

/** Nothing that a filesystem could compress or find twice. */
function noise(bytes: number, seed: number): Buffer {
  return createHash('shake256', { outputLength: bytes }).update(String(seed)).digest()
}
