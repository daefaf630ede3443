import { createReadStream, createWriteStream } from 'node:fs'
import type { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip, createZstdCompress } from 'node:zlib'

/** The compressions that registries hold layers in. */
export type Compression = 'gzip' | 'zstd'

const compressors: Readonly<Record<Compression, () => Transform>> = {
  gzip: () => createGzip({ level: 4 }),
  zstd: () => createZstdCompress(),
}

export async function compress(source: string, compression: Compression, target: string): Promise<void> {
  await pipeline(createReadStream(source), compressors[compression](), createWriteStream(target))
}
