import { type TarHandler, TarParser } from '../tar/parser.ts'
import { readRecords } from './read-records.ts'
import type { FileRecord } from './record.ts'

const zeros = Buffer.alloc(512 * 1024)

/**
 * Tells a layer's entries from its recipe, without its files: in the place of their content are zeros.
 *
 * @param recipe the bytes of `tar-split.json.gz`
 * @param name of the recipe, for errors
 * @param onFile hears of each file that has content, after its header
 * @throws GD_LAYER_CORRUPT for a damaged one, GD_ARCHIVE_INVALID
 */
export async function tellRecipe(
  recipe: AsyncIterable<Uint8Array>,
  name: string,
  handler: TarHandler,
  onFile?: (record: FileRecord) => void,
): Promise<void> {
  const parser = new TarParser(handler)
  for await (const record of readRecords(recipe, name)) {
    if (record.kind === 'segment') parser.push(record.payload)
    else if (record.size > 0) {
      onFile?.(record)
      for (let left = record.size; left > 0; left -= Math.min(left, zeros.length))
        parser.push(zeros.subarray(0, Math.min(left, zeros.length)))
    }
  }
}
