import { type FileHandle, open } from 'node:fs/promises'

async function sameNext(file: FileHandle, chunk: Uint8Array): Promise<boolean> {
  const expected = Buffer.alloc(chunk.length)
  let filled = 0
  while (filled < chunk.length) {
    const { bytesRead } = await file.read(expected, filled)
    if (bytesRead === 0) return false
    filled += bytesRead
  }
  return expected.equals(chunk)
}

/**
 * Compares a stream with a file: undefined when every byte is the same, else where they part. The stream is read to
 * its end all the same, for what it has to say there of itself.
 */
export async function firstDifference(
  stream: AsyncIterable<Uint8Array>,
  path: string,
): Promise<string | undefined> {
  await using file = await open(path)
  let offset = 0
  let difference: string | undefined
  for await (const chunk of stream) {
    if (difference === undefined && !(await sameNext(file, chunk))) {
      difference = `the chunk at byte ${offset} differs from ${path}`
    }
    offset += chunk.length
  }
  const { size } = await file.stat()
  return difference ?? (offset === size ? undefined : `${offset} bytes came, ${path} has ${size}`)
}
