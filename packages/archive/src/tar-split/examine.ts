/** Compares a layer's files with its recipe, to the end: damage is told, not thrown. */
import { createHash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { type CallOptions, isGraphDriverError } from '@graphdriver/core'
import { TarParser } from '../tar/parser.ts'
import { EntryExpectations } from './expectations.ts'
import { InheritedFiles } from './inherited.ts'
import { type Elsewhere, Places } from './places.ts'
import { readRecords } from './read-records.ts'
import type { Difference, FileRecord } from './record.ts'
import { tellRecipe } from './tell.ts'

const chunkSize = 512 * 1024
const zeros = Buffer.alloc(chunkSize)

/** Something that is not as it was registered. */
export interface TreeDamage extends Difference {
  /** As the tar has it; undefined for the recipe itself. */
  readonly path: string | undefined
}

export interface TreeExamination {
  /** Of the tar that the files make now: the DiffID, where nothing is damaged. */
  readonly digest: `sha256:${string}`
  /** How many files had their content compared, and their bytes. */
  readonly files: number
  readonly bytes: number
}

export interface ExamineOptions extends CallOptions {
  readonly onDamage: (damage: TreeDamage) => void
  /** Hears how much was read, and is waited for: who wants it to go slowly takes his time. */
  readonly onRead?: ((bytes: number) => Promise<void>) | undefined
  /** As for `assembleTar`. */
  readonly elsewhere?: Elsewhere
  /** Where the tree is a copy of those below: their recipes, base first. What it has from them is compared too. */
  readonly below?: readonly AsyncIterable<Uint8Array>[] | undefined
}

/**
 * Reads every file of a layer and compares its content with the recipe's checksum, and its type, owner, mode and link
 * target with what the headers in the recipe say.
 *
 * @param recipe the bytes of `tar-split.json.gz`
 * @param root where the layer's own files are
 * @throws what reading throws, such as EIO; never for what is missing or has changed
 */
export async function examineTree(
  recipe: AsyncIterable<Uint8Array>,
  root: string,
  { onDamage, onRead, elsewhere, below = [], signal }: ExamineOptions,
): Promise<TreeExamination> {
  const hash = createHash('sha256')
  const expectations = new EntryExpectations()
  const inherited = new InheritedFiles()
  const parser = new TarParser({
    header(header) {
      expectations.header(header)
      inherited.header(header)
    },
    data: () => undefined,
  })
  using contents = new Contents(root, elsewhere, onDamage, (bytes) => {
    hash.update(bytes)
    parser.push(bytes)
  })
  const isKnown = await learnAll(below, root, inherited)
  let [files, bytes] = [0, 0]
  try {
    for await (const record of readRecords(recipe, root)) {
      signal?.throwIfAborted()
      if (record.kind === 'segment') contents.take(record.payload)
      else if (record.size > 0) {
        await contents.read(record, onRead)
        files++
        bytes += record.size
      }
    }
  } catch (error) {
    // Damaged itself, the recipe tells no more.
    if (!isGraphDriverError(error, 'GD_LAYER_CORRUPT', 'GD_ARCHIVE_INVALID')) throw error
    onDamage({ path: undefined, expected: 'a recipe of the tar', found: error.message })
  }
  for (const record of isKnown ? inherited.records() : []) {
    signal?.throwIfAborted()
    await contents.readInherited(record, inherited, onRead)
    files++
    bytes += record.size
  }
  await expectations.compare(root, elsewhere, onDamage)
  return { digest: `sha256:${hash.digest('hex')}`, files, bytes }
}

/** @returns false where one of them is damaged, which is that layer's affair: then nothing is known */
async function learnAll(
  recipes: readonly AsyncIterable<Uint8Array>[],
  root: string,
  inherited: InheritedFiles,
): Promise<boolean> {
  try {
    for (const recipe of recipes) {
      inherited.next(true)
      await tellRecipe(recipe, root, inherited, (record) => inherited.note(record))
    }
    inherited.next(false)
    return true
  } catch (error) {
    if (!isGraphDriverError(error, 'GD_LAYER_CORRUPT', 'GD_ARCHIVE_INVALID')) throw error
    return false
  }
}

class Contents implements Disposable {
  readonly #places: Places
  readonly #onDamage: ExamineOptions['onDamage']
  readonly #space = Buffer.allocUnsafeSlow(chunkSize)
  readonly take: (bytes: Uint8Array) => void

  constructor(
    root: string,
    elsewhere: Elsewhere,
    onDamage: ExamineOptions['onDamage'],
    take: (bytes: Uint8Array) => void,
  ) {
    this.#places = new Places(root, elsewhere)
    this.#onDamage = onDamage
    this.take = take
  }

  /** Hands on as many bytes as the recipe says, zeros for those that are not there: what follows must keep its place. */
  async read(record: FileRecord, onRead: ExamineOptions['onRead']): Promise<void> {
    let left = record.size
    try {
      using file = await this.#places.open(record)
      while (left > 0) {
        try {
          file.read(this.#space)
        } finally {
          // The last piece is there also when its checksum turns out to be another.
          const read = left - file.left
          left = file.left
          this.take(this.#space.subarray(0, read))
          await onRead?.(read)
        }
        await setImmediate()
      }
    } catch (error) {
      if (!isGraphDriverError(error, 'GD_LAYER_CORRUPT')) throw error
      const { expected = 'a file', found = error.message } = error.details
      this.#onDamage({ path: record.name.toString(), expected, found })
    }
    for (; left > 0; left -= Math.min(left, chunkSize))
      this.take(zeros.subarray(0, Math.min(left, chunkSize)))
  }

  /** The same for what is not of this tar, and may have been changed by another name. */
  async readInherited(
    record: FileRecord,
    inherited: InheritedFiles,
    onRead: ExamineOptions['onRead'],
  ): Promise<void> {
    const damage = await this.#damageOf(record, onRead)
    if (damage === undefined) return
    const { records, mayBeGone } = inherited.otherwise(record)
    if (mayBeGone && damage.found === 'nothing') return
    for (const other of records) if ((await this.#damageOf(other, onRead)) === undefined) return
    this.#onDamage({ path: record.name.toString(), ...damage })
  }

  async #damageOf(record: FileRecord, onRead: ExamineOptions['onRead']): Promise<Difference | undefined> {
    try {
      using file = await this.#places.open(record)
      while (file.left > 0) await onRead?.(file.read(this.#space))
      await setImmediate()
      return undefined
    } catch (error) {
      if (!isGraphDriverError(error, 'GD_LAYER_CORRUPT')) throw error
      const { expected = 'a file', found = error.message } = error.details
      return { expected, found }
    }
  }

  [Symbol.dispose](): void {
    this.#places[Symbol.dispose]()
  }
}
