import { corrupt } from './record.ts'

const newline = 0x0a
/** A segment holds 1 MiB at most in base64, one of an old Docker a header of any size it accepted. */
const longestLine = 64 * 1024 * 1024

/** Lines of a stream, without their newlines; an empty one at the end does not count. */
export async function* readLines(
  bytes: AsyncIterable<Uint8Array>,
  layer: string,
): AsyncGenerator<string, void, void> {
  let parts: Uint8Array[] = []
  let length = 0
  for await (const chunk of bytes) {
    let from = 0
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      const last = chunk.subarray(from, end)
      yield text(length === 0 ? [last] : [...parts, last])
      parts = []
      length = 0
      from = end + 1
    }
    if (from === chunk.length) continue
    parts.push(chunk.subarray(from))
    length += chunk.length - from
    if (length > longestLine) throw corrupt(layer, 'the tar-split file has a line without end')
  }
  if (length > 0) yield text(parts)
}

function text(parts: readonly Uint8Array[]): string {
  const [only] = parts
  const whole = parts.length === 1 && only !== undefined ? only : Buffer.concat(parts)
  return Buffer.from(whole.buffer, whole.byteOffset, whole.byteLength).toString()
}
