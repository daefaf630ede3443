/** Stacks of layers made by generated recipes, and the plain directories that say what they must be. */
import { readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import type { Capabilities } from '../../capabilities.ts'
import type { LayerId } from '../../id.ts'
import type { CaseContext } from '../context.ts'
import { command } from '../host/command.ts'
import { findCommand } from '../host/requirement.ts'
import { perform, program } from './perform.ts'
import type { Trial } from './property.ts'
import type { Rules } from './resolve.ts'
import { attributes, type Recipe } from './step.ts'

/** More layers find little more, and each has to be looked at. */
const maxLayers = 6

export interface Level {
  readonly id: LayerId
  readonly parent: LayerId | undefined
  /** A plain directory with what the level must show. */
  readonly oracle: string
}

/** What all of these can have. */
export async function rulesFor(
  context: CaseContext,
  diffable: boolean,
  ...all: readonly Capabilities[]
): Promise<Rules> {
  return {
    diffable,
    maxLayers: Math.min(maxLayers, ...all.map(({ maxDepth }) => maxDepth)),
    copyUp: all.some(({ copyUp }) => copyUp === 'file') ? 'file' : 'none',
    owners: all.every(({ ownership }) => ownership === 'any'),
    deviceNodes: all.every(({ deviceNodes }) => deviceNodes) && findCommand('mknod') !== undefined,
    xattrs: all.every(({ xattrs }) => xattrs === 'all') && (await hasUserXattrs(context)),
  }
}

/** Not every filesystem has attributes, and not every host the programs that write and read them. */
async function hasUserXattrs(context: CaseContext): Promise<boolean> {
  if (findCommand('getfattr') === undefined || findCommand('setfattr') === undefined) return false
  try {
    await command('setfattr', ['--name=user.trial', '--value=yes', context.scratch('xattr-trial')])
    return true
  } catch {
    return false
  }
}

/** The root of the lowest layer has the time at which it was made, unless somebody gives it another. */
function performed({ recipes }: Trial): readonly Recipe[] {
  const [lowest = [], ...rest] = recipes
  return [[attributes('', { mtime: 1_400_000_000 }), ...lowest], ...rest]
}

/** Plain directories, one for each layer of a trial, each made from the one below. */
async function oraclesOf(context: CaseContext, trial: Trial): Promise<readonly string[]> {
  const made: string[] = []
  for (const [layer, recipe] of performed(trial).entries()) {
    const oracle = context.scratch(`${trial.name}oracle${layer}`)
    const below = made.at(-1)
    if (below !== undefined) await program('cp', ['--archive', '--no-target-directory', below, oracle])
    await perform(oracle, recipe, layer)
    made.push(oracle)
  }
  return made
}

/** Makes the layers of a trial, the lowest first. */
export async function makeLayers(context: CaseContext, trial: Trial): Promise<readonly LayerId[]> {
  const made: LayerId[] = []
  for (const [layer, recipe] of performed(trial).entries()) {
    made.push(await context.layer(`${trial.name}${layer}`, made.at(-1), recipe))
  }
  return made
}

/** Removes every layer whose name begins as the trial's, what has the highest number at the end first. */
async function removeLayers({ driver }: CaseContext, { name }: Trial): Promise<void> {
  const layers = await Array.fromAsync(driver.layers())
  const own = layers.filter((id) => id.startsWith(name))
  const heightOf = (id: LayerId): number => Number(/\d+$/.exec(id)?.[0] ?? 0)
  for (const id of own.toSorted((a, b) => heightOf(b) - heightOf(a))) await driver.remove(id)
}

/** Removes what a trial made, also after a failure, which is then the error. */
export async function cleaned(
  contexts: readonly CaseContext[],
  trial: Trial,
  action: () => Promise<void>,
): Promise<void> {
  const clean = async (): Promise<void> => {
    for (const context of contexts) {
      await removeLayers(context, trial)
      for (const name of readdirSync(context.directory)) {
        if (name.startsWith(trial.name)) rmSync(path.join(context.directory, name), { recursive: true })
      }
    }
  }
  try {
    await action()
  } catch (error) {
    await clean().catch(() => undefined)
    throw error
  }
  await clean()
}

/** Makes the stack of a trial, lets `use` look at it, and removes it again. */
export function withStack(
  context: CaseContext,
  trial: Trial,
  use: (levels: readonly Level[]) => Promise<void>,
): Promise<void> {
  return cleaned([context], trial, async () => {
    const oracles = await oraclesOf(context, trial)
    const layers = await makeLayers(context, trial)
    await use(layers.map((id, level) => ({ id, parent: layers[level - 1], oracle: oracles[level] ?? '' })))
  })
}
