import type { Change, Driver, LayerId } from '@graphdriver/core'
import { mountsBelow } from '@graphdriver/core/conformance'
import { invents, mistakes, pairOf, pathsIn, statOf } from '../comparison.ts'
import type { Mutant } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'

/** Right diffs, and a list that is not. */
function editsChanges(
  edit: (changes: readonly Change[]) => readonly Change[],
): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => ({
    changes: async (id, parent, options) => edit(await intact.changes(id, parent, options)),
  })
}

/** Lists and diffs that are made against another layer than was asked for. */
export function comparesWith(
  choose: (
    parents: ReadonlyMap<LayerId, LayerId>,
    id: LayerId,
    asked: LayerId | undefined,
  ) => LayerId | undefined,
): (intact: ReferenceDriver) => Partial<Driver> {
  return (intact) => {
    const parents = new Map<LayerId, LayerId>()
    const create: Driver['create'] = async (id, options) => {
      await intact.create(id, options)
      if (options?.parent !== undefined) parents.set(id, options.parent)
    }
    return {
      create,
      createReadWrite: create,
      changes: (id, asked, options) => intact.changes(id, choose(parents, id, asked), options),
      diff: (id, asked, options) => intact.diff(id, choose(parents, id, asked), options),
    }
  }
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}

export const changesMutants: readonly Mutant[] = [
  {
    does: 'lists changes backwards',
    caughtBy: ['changes/order', 'changes/added', 'changes/many'],
    breaks: editsChanges((changes) => changes.toReversed()),
  },
  {
    does: 'lists changes directory by directory',
    caughtBy: ['changes/order'],
    breaks: editsChanges((changes) =>
      changes.toSorted((a, b) => (a.path.replaceAll('/', '\0') < b.path.replaceAll('/', '\0') ? -1 : 1)),
    ),
  },
  {
    does: 'sorts changes as people do, not by bytes',
    caughtBy: ['changes/order'],
    breaks: editsChanges((changes) => changes.toSorted((a, b) => a.path.localeCompare(b.path, 'en'))),
  },
  {
    does: 'lists paths without the leading slash',
    caughtBy: ['changes/at-the-top', 'changes/root'],
    breaks: editsChanges((changes) => changes.map(({ path, kind }) => ({ path: path.slice(1), kind }))),
  },
  {
    does: 'lists the root as modified',
    caughtBy: ['changes/root', 'changes/at-the-top'],
    breaks: editsChanges((changes) =>
      changes.length === 0 ? changes : [{ path: '/', kind: 'modify' }, ...changes],
    ),
  },
  {
    does: 'calls additions modifications',
    caughtBy: [
      'changes/added',
      'changes/added-directory',
      'changes/file-to-directory',
      'changes/second-names',
    ],
    breaks: editsChanges((changes) =>
      changes.map(({ path, kind }) => ({ path, kind: kind === 'add' ? 'modify' : kind })),
    ),
  },
  {
    does: 'lists what became another type as deleted and added',
    caughtBy: ['changes/type-changes', 'changes/directory-to-file', 'changes/file-to-directory'],
    breaks: (intact) => ({
      async changes(id, parent, options) {
        const changes = await intact.changes(id, parent, options)
        if (parent === undefined) return changes
        const trees = { layer: intact.treeOf(id), base: intact.treeOf(parent) }
        return changes.flatMap((change): readonly Change[] => {
          const pair = pairOf(trees, change.path)
          if (pair === undefined || (pair.before.mode & 0o170000n) === (pair.after.mode & 0o170000n))
            return [change]
          return [
            { path: change.path, kind: 'delete' },
            { path: change.path, kind: 'add' },
          ]
        })
      },
    }),
  },
  {
    does: 'lists what was in a directory that became something else as deleted',
    caughtBy: ['changes/directory-to-file', 'changes/type-changes', 'changes/directories-side-by-side'],
    breaks: invents((_, { layer, base }) =>
      pathsIn(base)
        .filter(
          (path) =>
            statOf(layer, path) === undefined && statOf(layer, parentOf(path))?.isDirectory() === false,
        )
        .map((path) => ({ path, kind: 'delete' })),
    ),
  },
  {
    does: 'forgets the directories above a change',
    caughtBy: [
      'changes/added',
      'changes/modified',
      'changes/deleted',
      'changes/directories-above',
      'changes/renamed',
      'changes/many',
      'changes/identical-copies',
      'diff/directories-first',
    ],
    breaks: mistakes((truth, trees) =>
      truth.filter(({ path }) => {
        const pair = pairOf(trees, path)
        return pair === undefined || !pair.after.isDirectory() || pair.before.mode !== pair.after.mode
      }),
    ),
  },
  {
    does: 'lists only the directory right above a change',
    caughtBy: ['changes/directories-above', 'changes/identical-copies', 'changes/echo'],
    breaks: mistakes((truth, trees) =>
      truth.filter(({ path, kind }) => {
        if (kind !== 'modify' || pairOf(trees, path)?.after.isDirectory() !== true) return true
        return truth.some((other) => parentOf(other.path) === path && !isDirectoryIn(trees.layer, other))
      }),
    ),
  },
  {
    does: 'misses deletions',
    caughtBy: [
      'changes/deleted',
      'changes/deleted-directory',
      'changes/renamed',
      'changes/many',
      'changes/echo',
      'changes/against-child',
      'changes/directory-made-anew',
      'diff/whiteout',
      'diff/whiteout-of-directory',
      'diff/renamed',
      'diff/diff-apply',
      'diff/gone-and-back',
      'diff/everything-deleted',
      'diff/rename-directory',
      'diff/directory-made-anew-empty',
      'diff/replay-mixed',
    ],
    breaks: mistakes((truth) => truth.filter(({ kind }) => kind !== 'delete')),
  },
  {
    does: 'misses deletions where something was added beside them',
    caughtBy: [
      'changes/directory-made-anew',
      'changes/third-layer-on-directory-made-anew',
      'diff/directory-made-anew',
      'diff/directory-made-anew-deep',
      'diff/third-layer-on-directory-made-anew',
    ],
    breaks: mistakes((truth) => {
      const filled = new Set(truth.filter(({ kind }) => kind === 'add').map(({ path }) => parentOf(path)))
      return truth.filter(({ path, kind }) => kind !== 'delete' || !filled.has(parentOf(path)))
    }),
  },
  {
    does: 'lists all that was in a deleted directory',
    caughtBy: ['changes/deleted-directory', 'changes/echo', 'diff/whiteout-of-directory'],
    breaks: invents((truth, { base }) => {
      const deleted = truth.filter(({ kind }) => kind === 'delete').map(({ path }) => `${path}/`)
      return pathsIn(base)
        .filter((path) => deleted.some((above) => path.startsWith(above)))
        .map((path) => ({ path, kind: 'delete' }))
    }),
  },
  {
    does: 'lists every directory as modified',
    caughtBy: [
      'changes/nothing',
      'changes/at-the-top',
      'changes/directory-time',
      'changes/made-and-deleted',
      'changes/changed-and-back',
      'changes/hard-link',
      'diff/unchanged-child',
      'diff/reading-is-no-change',
      'diff/unchanged-absent',
    ],
    breaks: invents((_, trees) =>
      pathsIn(trees.layer)
        .filter((path) => pairOf(trees, path)?.after.isDirectory())
        .map((path) => ({ path, kind: 'modify' })),
    ),
  },
  {
    does: 'takes the time of a directory for a change',
    caughtBy: ['changes/directory-time', 'changes/made-and-deleted', 'changes/directories-side-by-side'],
    breaks: invents((_, trees) =>
      pathsIn(trees.layer)
        .filter((path) => {
          const pair = pairOf(trees, path)
          return pair?.after.isDirectory() === true && pair.before.mtimeNs !== pair.after.mtimeNs
        })
        .map((path) => ({ path, kind: 'modify' })),
    ),
  },
  {
    does: 'takes the number of names for a change',
    caughtBy: ['changes/hard-link'],
    breaks: invents((_, trees) =>
      pathsIn(trees.layer)
        .filter((path) => {
          const pair = pairOf(trees, path)
          return pair?.after.isFile() === true && pair.before.nlink !== pair.after.nlink
        })
        .map((path) => ({ path, kind: 'modify' })),
    ),
  },
  {
    does: 'lists what is beside a change as modified too',
    caughtBy: ['changes/modified', 'changes/identical-copies', 'diff/unchanged-absent'],
    breaks: invents((truth, { layer, base }) => {
      const above = new Set(truth.map(({ path }) => parentOf(path)))
      return pathsIn(layer)
        .filter((path) => above.has(parentOf(path)) && statOf(base, path) !== undefined)
        .map((path) => ({ path, kind: 'modify' }))
    }),
  },
  {
    does: 'takes a file of another inode for an added one',
    caughtBy: ['changes/rewritten-alike', 'changes/nothing'],
    breaks: invents((_, trees) =>
      pathsIn(trees.layer)
        .filter((path) => {
          const pair = pairOf(trees, path)
          return pair?.after.isFile() === true && pair.before.ino !== pair.after.ino
        })
        .map((path) => ({ path, kind: 'add' })),
    ),
  },
  {
    does: 'lists each inode once',
    caughtBy: ['changes/second-names', 'diff/hard-links'],
    breaks: mistakes((truth, { layer }) => {
      const seen = new Set<bigint>()
      return truth.filter(({ path, kind }) => {
        const stat = kind === 'delete' ? undefined : statOf(layer, path)
        if (stat === undefined || stat.nlink < 2n || stat.isDirectory()) return true
        const first = !seen.has(stat.ino)
        seen.add(stat.ino)
        return first
      })
    }),
  },
  {
    does: 'leaves out names that are not UTF-8',
    caughtBy: ['changes/names-of-any-bytes'],
    breaks: editsChanges((changes) =>
      changes.filter(({ path }) => path.isWellFormed() && !path.includes('\u{FFFD}')),
    ),
  },
  {
    does: 'compares with the layer below, whatever it is asked for',
    caughtBy: [
      'changes/against-nothing',
      'changes/against-grandparent',
      'changes/against-child',
      'diff/whole-tree',
      'diff/against-grandparent',
      'diff/against-child',
      'diff/against-unrelated',
    ],
    breaks: comparesWith((parents, id) => parents.get(id)),
  },
  {
    does: 'compares with the layer below the one that it is asked for',
    caughtBy: [
      'changes/two-layers-up',
      'changes/third-layer-on-directory-made-anew',
      'diff/init-layer-skipped',
    ],
    breaks: comparesWith((parents, _, asked) =>
      asked === undefined ? undefined : (parents.get(asked) ?? asked),
    ),
  },
  {
    does: 'finds no changes in a layer that is mounted',
    caughtBy: ['changes/while-mounted'],
    breaks: (intact) => ({
      changes: async (id, parent, options) =>
        mountsBelow(intact.mountPointOf(id)).length > 0 ? [] : intact.changes(id, parent, options),
    }),
  },
  {
    does: 'remembers the first list of changes',
    caughtBy: ['changes/while-mounted'],
    breaks: (intact) => {
      const known = new Map<string, Promise<readonly Change[]>>()
      return {
        changes(id, parent, options) {
          const list = known.get(`${id} ${parent}`) ?? intact.changes(id, parent, options)
          known.set(`${id} ${parent}`, list)
          return list
        },
      }
    },
  },
]

function isDirectoryIn(tree: string, { path }: Change): boolean {
  return statOf(tree, path)?.isDirectory() === true
}
