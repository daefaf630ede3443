/**
 * Cases that nobody wrote: random recipes, checked against a plain directory. They find what several deeds do
 * together; what one deed does is tested by name elsewhere.
 */
import assert from 'node:assert/strict'
import { type ConformanceCase, casesOf } from '../case.ts'
import type { LayerId } from '../../id.ts'
import { type CaseContext, rootIsOwn } from '../context.ts'
import { type Level, rulesFor, withStack } from '../recipe/generated-stack.ts'
import { forRecipes } from '../recipe/property.ts'
import type { Exception } from '../tree/comparison.ts'
import { expectedChanges, expectedSize } from '../tree/expected-changes.ts'
import { readTree, type Tree } from '../tree/tree.ts'

const nothing: Tree = new Map()

/** Tries recipes, one stack of layers after another. */
async function forStacks(
  context: CaseContext,
  { diffable }: { readonly diffable: boolean },
  holds: (levels: readonly Level[], name: string) => Promise<void>,
): Promise<void> {
  const rules = await rulesFor(context, diffable, context.driver.capabilities)
  await forRecipes({ rules }, (trial) => withStack(context, trial, (levels) => holds(levels, trial.name)))
}

/** The trees of the oracles, with that of nothing below the first. */
async function treesOf(levels: readonly Level[]): Promise<readonly Tree[]> {
  const trees = [nothing]
  for (const { oracle } of levels) trees.push(await readTree(oracle))
  return trees
}

/**
 * Paths of directories whose time a diff need not carry, for each level. That a directory was written to is no
 * change, so its time stays what it was until something else of it changes.
 */
function untimed(trees: readonly Tree[]): readonly ReadonlySet<string>[] {
  const levels: ReadonlySet<string>[] = []
  for (const [index, after] of trees.entries()) {
    const before = trees[index - 1]
    if (before === undefined) continue
    const listed = new Set(expectedChanges(before, after).map(({ path }) => path))
    const paths = [...after].flatMap(([name, { type, mtimeNs }]) => {
      const path = `/${name}`
      if (type !== 'directory' || listed.has(`/${Buffer.from(name, 'latin1').toString()}`)) return []
      return levels.at(-1)?.has(path) === true || before.get(name)?.mtimeNs !== mtimeNs ? [path] : []
    })
    levels.push(new Set(paths))
  }
  return levels
}

function timeExceptions(paths: ReadonlySet<string>): readonly Exception[] {
  return [...paths].map((path) => ({
    aspect: 'mtime',
    path: new RegExp(`^${path.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)}$`),
    reason: 'the time of a directory is no change',
  }))
}

/** Bytes of the targets of symbolic links that `after` adds to `before`. */
function linkBytes(before: Tree, after: Tree): number {
  const links = (tree: Tree): Tree => new Map([...tree].filter(([, { type }]) => type !== 'file'))
  return expectedSize(links(before), links(after))
}

/** Fails naming the level at which something is wrong. */
async function atLevel<T>(level: number, action: () => Promise<T>): Promise<T> {
  try {
    return await action()
  } catch (error) {
    if (error instanceof Error) error.message = `at level ${level}: ${error.message}`
    throw error
  }
}

export const generated: readonly ConformanceCase[] = casesOf(
  'generated',
  {
    name: 'trees',
    title: 'every level of any stack shows what the same deeds make of a plain directory',
    async run(context) {
      await forStacks(context, { diffable: false }, async (levels) => {
        for (const [level, { id, oracle }] of levels.entries()) {
          await atLevel(level, () => context.within(id, (root) => context.sameTree(oracle, root)))
        }
      })
    },
  },
  {
    name: 'diffs',
    title: 'the diffs of any stack, applied to one another, make the same stack again',
    async run(context) {
      await forStacks(context, { diffable: true }, async (levels, name) => {
        const times = untimed(await treesOf(levels))
        let below: LayerId | undefined
        for (const [level, { id, parent, oracle }] of levels.entries()) {
          const exceptions = [...rootIsOwn, ...timeExceptions(times[level] ?? new Set())]
          below = await atLevel(level, async () => {
            const applied = await context.transplant(`${name}applied${level}`, below, id, parent)
            await context.within(applied, (root) => context.sameTree(oracle, root, exceptions))
            return applied
          })
        }
      })
    },
  },
  {
    name: 'changes',
    title: 'the changes of every level of any stack are those that two walks find',
    async run(context) {
      await forStacks(context, { diffable: true }, async (levels) => {
        const trees = await treesOf(levels)
        for (const [level, { id, parent }] of levels.entries()) {
          const expected = expectedChanges(trees[level] ?? nothing, trees[level + 1] ?? nothing)
          await atLevel(level, async () =>
            assert.deepEqual(await context.driver.changes(id, parent), expected),
          )
        }
      })
    },
  },
  {
    name: 'sizes',
    title:
      'every level of any stack has the size of what it adds, and its diff has that size where it is applied',
    async run(context) {
      const { driver } = context
      await forStacks(context, { diffable: true }, async (levels, name) => {
        const trees = await treesOf(levels)
        let below: LayerId | undefined
        for (const [level, { id, parent }] of levels.entries()) {
          const expected = expectedSize(trees[level] ?? nothing, trees[level + 1] ?? nothing)
          const applied = context.id(`${name}applied${level}`)
          await driver.create(applied, { parent: below })
          const size = await driver.applyDiff(applied, below, driver.diff(id, parent))
          assert.equal(await driver.diffSize(id, parent), expected, `the size of level ${level}`)
          // The targets of symbolic links may count or not: a tar has them in its headers.
          const links = linkBytes(trees[level] ?? nothing, trees[level + 1] ?? nothing)
          assert(
            size <= expected && size >= expected - links,
            `at level ${level} ${size} bytes were applied, and ${expected} expected`,
          )
          below = applied
        }
      })
    },
  },
  {
    name: 'restart',
    title: 'an instance that was opened later shows every level of any stack as it was made',
    async run(context) {
      await forStacks(context, { diffable: false }, async (levels) => {
        await using later = await context.reopen()
        for (const [level, { id, oracle }] of levels.entries()) {
          await using mount = await later.get(id)
          await atLevel(level, () => context.sameTree(oracle, mount.path))
        }
      })
    },
  },
)
