import { createReadStream, createWriteStream, openAsBlob } from 'node:fs'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'

/** Writes the tar in a file, which may be gzip, to another; so that unpacking is not what is measured. */
export async function unpackLayer(source: string, target: string): Promise<void> {
  const input = createReadStream(source)
  const output = createWriteStream(target)
  if (await isGzip(source)) await pipeline(input, createGunzip(), output)
  else await pipeline(input, output)
}

/** By its first two bytes (RFC 1952). */
async function isGzip(source: string): Promise<boolean> {
  const blob = await openAsBlob(source)
  return Buffer.from(await blob.slice(0, 2).arrayBuffer()).equals(Buffer.of(0x1f, 0x8b))
}
