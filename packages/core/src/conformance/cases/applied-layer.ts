/** Layers that are made from hand-made tars, and what must come of them. */
import assert from 'node:assert/strict'
import type { TarStream } from '../../driver.ts'
import { type ErrorCode, isGraphDriverError } from '../../error.ts'
import type { LayerId } from '../../id.ts'
import type { CaseContext } from '../context.ts'
import { directory, file, type Recipe } from '../recipe/step.ts'
import { inChunks, type RawEntry, rawTar } from '../tar/raw-tar.ts'
import { listing } from '../tree/listing.ts'

/** Creates a layer and applies a tar of these entries to it. */
export async function appliedLayer(
  { driver, id }: CaseContext,
  name: string,
  parent: LayerId | undefined,
  ...entries: readonly RawEntry[]
): Promise<LayerId> {
  const made = id(name)
  await driver.create(made, { parent })
  await driver.applyDiff(made, parent, inChunks(rawTar(...entries)))
  return made
}

/** For assert.rejects: an error of ours that names this entry. */
export function namesEntry(
  entry: string | undefined,
  ...codes: readonly ErrorCode[]
): (error: unknown) => boolean {
  return (error) => {
    assert(isGraphDriverError(error, ...codes), `another error: ${String(error)}`)
    if (entry !== undefined) assert.equal('entry' in error.details ? error.details.entry : undefined, entry)
    return true
  }
}

/** Two blocks of zeros. */
export const endMarker: Buffer = Buffer.alloc(1024)

/** Applies a stream to a base layer and to a child, and compares what it makes of both. */
export async function makes(
  context: CaseContext,
  stream: () => TarStream,
  expected: readonly string[],
): Promise<void> {
  const { driver, id, within } = context
  await driver.create(id('alone'))
  await driver.applyDiff(id('alone'), undefined, stream())
  assert.deepEqual(await within(id('alone'), listing), expected)
  const lower = await context.layer('lower', undefined, [file('~lower', 'l')])
  await driver.create(id('upper'), { parent: lower })
  await driver.applyDiff(id('upper'), lower, stream())
  assert.deepEqual(await within(id('upper'), listing), [...expected, '~lower "l"'])
}

/** The same with the tar of these entries. */
export function makesOf(
  context: CaseContext,
  entries: readonly RawEntry[],
  expected: readonly string[],
): Promise<void> {
  return makes(context, () => inChunks(rawTar(...entries)), expected)
}

/** A layer with a recipe, a child with a tar, and what the child then shows; the parent must be as it was. */
export async function upon(
  context: CaseContext,
  recipe: Recipe,
  entries: readonly RawEntry[],
  expected: readonly string[],
): Promise<LayerId> {
  const lower = await context.layer('lower', undefined, recipe)
  const before = await context.within(lower, listing)
  const upper = await appliedLayer(context, 'upper', lower, ...entries)
  assert.deepEqual(await context.within(upper, listing), expected)
  assert.deepEqual(await context.within(lower, listing), before, 'the parent')
  return upper
}

/** A directory that has something in it, and deeper. */
export const treeWithContent: Recipe = [
  directory('x'),
  file('x/old', 'old'),
  directory('x/deep'),
  file('x/deep/f'),
]
