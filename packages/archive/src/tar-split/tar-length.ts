import { readRecords } from './read-records.ts'

/**
 * Bytes of the tar that a recipe (the bytes of `tar-split.json.gz`) describes. No file of the layer is looked at.
 *
 * @param name of the recipe, for errors
 * @throws GD_LAYER_CORRUPT for a damaged one
 */
export async function tarLength(recipe: AsyncIterable<Uint8Array>, name: string): Promise<number> {
  let bytes = 0
  for await (const record of readRecords(recipe, name))
    bytes += record.kind === 'segment' ? record.payload.length : record.size
  return bytes
}
