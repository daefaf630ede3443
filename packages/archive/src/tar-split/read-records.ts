import { isGraphDriverError } from '@graphdriver/core'
import { decompress } from '../compression/decompress.ts'
import { readLines } from './read-lines.ts'
import { corrupt, parseRecord, type TarSplitRecord } from './record.ts'

/**
 * The records of a `tar-split.json.gz`.
 *
 * @param root of the layer's files, by which errors call the layer
 * @throws GD_LAYER_CORRUPT for a damaged one
 */
export async function* readRecords(
  recipe: AsyncIterable<Uint8Array>,
  root: string,
): AsyncGenerator<TarSplitRecord, void, void> {
  let position = 0
  try {
    for await (const line of readLines(decompress(recipe), root)) yield parseRecord(line, position++, root)
  } catch (error) {
    if (!isGraphDriverError(error, 'GD_COMPRESSION_INVALID')) throw error
    throw corrupt(root, `the tar-split file is damaged after record ${position}`, undefined, { cause: error })
  }
}
