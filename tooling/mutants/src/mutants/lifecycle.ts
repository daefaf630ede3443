import { chmodSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { damagesChildren, type Mutant } from '../mutant.ts'

export const lifecycleMutants: readonly Mutant[] = [
  {
    does: 'leaves lost+found in every new layer',
    caughtBy: ['lifecycle/empty-layer', 'lifecycle/bases-apart', 'lifecycle/id-reused'],
    breaks: (intact) => ({
      async create(id, options) {
        await intact.create(id, options)
        writeFileSync(path.join(intact.treeOf(id), 'lost+found'), '')
      },
    }),
  },
  {
    does: 'lets the umask narrow the mode of new layers',
    caughtBy: ['lifecycle/umask'],
    breaks: (intact) => ({
      async create(id, options) {
        await intact.create(id, options)
        chmodSync(intact.treeOf(id), 0o755 & ~process.umask())
      },
    }),
  },
  {
    does: 'says that every layer exists',
    caughtBy: ['lifecycle/exists', 'lifecycle/removed'],
    breaks: () => ({ exists: () => Promise.resolve(true) }),
  },
  {
    does: 'starts children empty',
    caughtBy: [
      'lifecycle/child-starts-as-parent',
      'lifecycle/grandchild-starts-as-grandparent',
      'lifecycle/read-write-layer',
      'lifecycle/many-children',
      'lifecycle/siblings-apart',
      'lifecycle/child-of-mounted-parent',
    ],
    breaks: damagesChildren((tree) => {
      for (const name of readdirSync(tree)) rmSync(path.join(tree, name), { recursive: true })
    }),
  },
  {
    does: 'gives the root of a child mode 0755',
    caughtBy: ['lifecycle/root-mode-inherited'],
    breaks: damagesChildren((tree) => chmodSync(tree, 0o755)),
  },
]
