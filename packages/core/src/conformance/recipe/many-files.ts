/**
 * Many small files and a way to change them, as moby's graphtest has them: every hundred in a directory of their own,
 * and of three files one is rewritten with the same size, one gets a neighbour and one goes.
 */
import type { Change } from '../../driver.ts'
import { directory, file, type Recipe, remove } from './step.ts'

const perDirectory = 100
const bytes = 64

function placed(count: number): readonly (readonly [directory: string, index: number])[] {
  return Array.from({ length: count }, (_, index) => [
    `directory-${Math.trunc(index / perDirectory) * perDirectory}`,
    index,
  ])
}

function directoriesOf(count: number): readonly string[] {
  return [...new Set(placed(count).map(([name]) => name))]
}

export function manyFiles(count: number, seed: number): Recipe {
  return [...directoriesOf(count).map((name) => directory(name)), ...rewrittenFiles(count, seed)]
}

/** The content of another seed for all of them. */
export function rewrittenFiles(count: number, seed: number): Recipe {
  return placed(count).map(([name, index]) => file(`${name}/file-${index}`, { bytes, seed: seed + index }))
}

export interface ManyChanges {
  readonly recipe: Recipe
  readonly changes: readonly Change[]
}

export function changeManyFiles(count: number, seed: number): ManyChanges {
  const each = placed(count).map(([name, index]) => changeOf(`${name}/`, index, seed))
  const modified = directoriesOf(count).map((name): Change => ({ path: `/${name}`, kind: 'modify' }))
  return {
    recipe: each.flatMap(({ recipe }) => recipe),
    changes: [...modified, ...each.flatMap(({ changes }) => changes)].toSorted((a, b) =>
      a.path < b.path ? -1 : 1,
    ),
  }
}

function changeOf(prefix: string, index: number, seed: number): ManyChanges {
  const old = `${prefix}file-${index}`
  const added = `${prefix}file-${seed}-${index}`
  const content = { bytes, seed: seed + index }
  if (index % 3 === 0) return { recipe: [file(old, content)], changes: [{ path: `/${old}`, kind: 'modify' }] }
  if (index % 3 === 1)
    return { recipe: [file(added, content)], changes: [{ path: `/${added}`, kind: 'add' }] }
  return { recipe: [remove(old)], changes: [{ path: `/${old}`, kind: 'delete' }] }
}
