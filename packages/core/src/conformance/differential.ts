/**
 * Two drivers, one recipe: what one of them does, the other must do. Where a driver has a peer that is trusted, or
 * two ways to do a thing, this finds what no case is about.
 */
import assert from 'node:assert/strict'
import type { Capabilities } from '../capabilities.ts'
import type { LayerId } from '../id.ts'
import { type ConformanceCase, casesOf } from './case.ts'
import { CaseContext } from './context.ts'
import { cleaned, makeLayers, rulesFor } from './recipe/generated-stack.ts'
import { forRecipes } from './recipe/property.ts'
import type { Subject } from './subject.ts'
import { compareLayers } from './tar/layer-comparison.ts'
import { readTar } from './tar/read-tar.ts'
import { compareTrees } from './tree/comparison.ts'
import { readTree, type Tree } from './tree/tree.ts'

/** A layer that both drivers have, under the same name. */
interface Twin {
  readonly level: number
  readonly id: LayerId
  readonly parent: LayerId | undefined
}

interface Comparison {
  readonly peer: CaseContext
  /** To what both keep times. */
  readonly timestamps: Capabilities['timestamps']
}

const nothing: Tree = new Map()

/** Opens the other driver beside the case's, on the same filesystem. @throws CannotRun when it cannot be there */
async function openPeer(context: CaseContext, other: Subject): Promise<CaseContext> {
  const { lab } = context.subject
  const place = context.keep(await lab.place())
  const peer = await CaseContext.open({ ...other, lab }, place)
  context.keep({ [Symbol.asyncDispose]: () => peer.close() })
  return peer
}

const byCoarseness = ['seconds', 'hundreds-of-nanoseconds', 'nanoseconds'] as const

function coarsest(both: readonly Capabilities[]): Capabilities['timestamps'] {
  return byCoarseness.find((grain) => both.some(({ timestamps }) => timestamps === grain)) ?? 'nanoseconds'
}

/** Tries recipes in both drivers, and looks at each level of both stacks. */
async function forTwins(
  context: CaseContext,
  other: Subject,
  { diffable }: { readonly diffable: boolean },
  agree: (twin: Twin, comparison: Comparison) => Promise<void>,
): Promise<void> {
  const peer = await openPeer(context, other)
  const both = [context.driver.capabilities, peer.driver.capabilities]
  const rules = await rulesFor(context, diffable, ...both)
  const comparison: Comparison = { peer, timestamps: coarsest(both) }
  await forRecipes({ rules }, (trial) =>
    cleaned([context, peer], trial, async () => {
      const layers = await makeLayers(context, trial)
      await makeLayers(peer, trial)
      for (const [level, id] of layers.entries()) {
        await agree({ level, id, parent: layers[level - 1] }, comparison)
      }
    }),
  )
}

/** Fails with one line for each difference. */
function same(differences: readonly string[], what: string): void {
  assert(differences.length === 0, `${what} differ:\n${differences.join('\n')}`)
}

/**
 * Cases that hold a driver to another one, which is opened on the same filesystem. They are not of the suite itself:
 * pass them as `cases` to an adapter.
 *
 * ```ts
 * conformance(overlay2, { cases: differentialCases(subjectOf(vfs)) })
 * ```
 */
export function differentialCases(other: Subject): readonly ConformanceCase[] {
  return casesOf(
    'differential',
    {
      name: 'trees',
      title: `every level of any stack shows what it shows in ${other.name}`,
      run: (context) =>
        forTwins(context, other, { diffable: false }, async ({ level, id }, { peer, timestamps }) =>
          context.within(id, (found) =>
            peer.within(id, async (expected) =>
              same(await compareTrees(expected, found, { timestamps }), `the trees of level ${level}`),
            ),
          ),
        ),
    },
    {
      name: 'tars',
      title: `the diff of every level of any stack says what it says in ${other.name}`,
      run: (context) =>
        forTwins(context, other, { diffable: true }, async ({ level, id, parent }, { peer, timestamps }) => {
          const base = parent === undefined ? nothing : await context.within(parent, readTree)
          const expected = await readTar(peer.driver.diff(id, parent))
          const found = await readTar(context.driver.diff(id, parent))
          same(compareLayers(expected, found, { base, timestamps }), `the diffs of level ${level}`)
        }),
    },
    {
      name: 'changes',
      title: `the changes of every level of any stack are those of ${other.name}`,
      run: (context) =>
        forTwins(context, other, { diffable: true }, async ({ level, id, parent }, { peer }) => {
          const expected = await peer.driver.changes(id, parent)
          assert.deepEqual(await context.driver.changes(id, parent), expected, `changes of level ${level}`)
        }),
    },
  )
}
