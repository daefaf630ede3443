/** The least driver on which stacks can be made: a directory per layer, copied by cp(1). It knows no diffs. */
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs'
import path from 'node:path'
import { command } from '../../src/conformance/index.ts'
import {
  asLayerId,
  type Capabilities,
  type Driver,
  type DriverDefinition,
  driverApiVersion,
  type LayerId,
} from '../../src/index.ts'

const capabilities: Capabilities = {
  sharing: 'none',
  diff: { native: false, reason: 'there is none' },
  copyUp: 'none',
  maxDepth: 20,
  timestamps: 'nanoseconds',
  names: 'bytes',
  hardLinks: true,
  xattrs: 'all',
  deviceNodes: true,
  ownership: 'any',
  quota: 'none',
  inodeQuota: false,
  mappedOwners: false,
  mountLabel: false,
}

/** @param damage what is done to the tree of every child */
export function copyingDriver(damage: (tree: string) => void = () => undefined): DriverDefinition {
  return {
    name: 'copying',
    apiVersion: driverApiVersion,
    platforms: ['linux'],
    summary: 'for tests of the suite',
    parse: () => ({}),
    probe: () => Promise.resolve({ supported: true, notes: [] }),
    open: ({ home }) => {
      mkdirSync(home, { recursive: true })
      return Promise.resolve(driverIn(home, damage))
    },
  }
}

function driverIn(home: string, damage: (tree: string) => void): Driver {
  const treeOf = (id: LayerId): string => path.join(home, id)
  const missing = (): never => {
    throw new Error('this driver knows no diffs')
  }
  const create: Driver['create'] = async (id, { parent } = {}) => {
    if (parent === undefined) return mkdirSync(treeOf(id), { mode: 0o755 })
    await command('cp', ['--archive', '--no-target-directory', treeOf(parent), treeOf(id)])
    damage(treeOf(id))
  }
  return {
    name: 'copying',
    home,
    capabilities,
    create,
    createReadWrite: create,
    remove: async (id) => rmSync(treeOf(id), { recursive: true, force: true }),
    get: async (id) => ({
      id,
      path: treeOf(id),
      readonly: false,
      [Symbol.asyncDispose]: () => Promise.resolve(),
    }),
    put: () => Promise.resolve(),
    exists: async (id) => existsSync(treeOf(id)),
    async *layers() {
      for (const name of readdirSync(home)) {
        const id = asLayerId(name)
        if (id !== undefined) yield id
      }
    },
    status: async () => [['Home', home]],
    metadata: () => Promise.resolve({}),
    cleanup: () => Promise.resolve(),
    diff: missing,
    changes: missing,
    applyDiff: missing,
    diffSize: missing,
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}
