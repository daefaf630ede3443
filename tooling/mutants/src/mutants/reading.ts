import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { type Driver, type DriverDefinition, layerMount } from '@graphdriver/core'
import { unmountTree } from '@graphdriver/sys'
import type { Mutant } from '../mutant.ts'
import { ReferenceDriver } from '../reference.ts'

/** Members of the driver that take the place of the intact one's where it only reads. */
function whereItReads(
  breaks: (intact: ReferenceDriver) => Partial<Driver>,
): (definition: DriverDefinition) => Partial<DriverDefinition> {
  return (definition) => ({
    async open(host) {
      const intact = await definition.open(host)
      if (host.readOnly !== true || !(intact instanceof ReferenceDriver)) return intact
      return Object.assign(intact, breaks(intact))
    },
  })
}

export const readingMutants: readonly Mutant[] = [
  {
    does: 'opens for reading as it opens for writing',
    caughtBy: ['reading/writes-nothing'],
    redefines: (definition) => ({ open: (host) => definition.open({ ...host, readOnly: false }) }),
  },
  {
    does: 'unmounts what a killed process left mounted, also to read it',
    caughtBy: ['reading/leaves-remains'],
    redefines: (definition) => ({
      async open(host) {
        if (host.readOnly === true) unmountTree(path.join(host.home, 'mounted'))
        return definition.open(host)
      },
    }),
  },
  {
    does: 'notes who reads',
    caughtBy: ['reading/writes-nothing', 'reading/refuses-changes'],
    redefines: (definition) => ({
      async open(host) {
        if (host.readOnly === true) writeFileSync(path.join(host.home, 'reader'), String(process.pid))
        return definition.open(host)
      },
    }),
  },
  {
    does: 'shows an empty tree for what is not mounted, to who only reads',
    caughtBy: ['reading/shows-everything', 'reading/gets-counted', 'reading/beside-a-writer'],
    redefines: whereItReads((intact) => ({
      get: async (id) => layerMount(id, path.join(intact.home, 'mounted'), true),
    })),
  },
  {
    does: 'knows the layers that were there when it was opened, to who only reads',
    caughtBy: ['reading/beside-a-writer'],
    redefines: (definition) => ({
      async open(host) {
        const intact = await definition.open(host)
        if (host.readOnly !== true) return intact
        const known = new Set(await Array.fromAsync(intact.layers()))
        return Object.assign(intact, { exists: async (id: string) => [...known].some((one) => one === id) })
      },
    }),
  },
  {
    does: 'unmounts what it was asked to read',
    caughtBy: ['reading/beside-a-writer'],
    redefines: whereItReads((intact) => ({
      get: async (id) =>
        layerMount(id, intact.mountPointOf(id), true, async () => unmountTree(intact.mountPointOf(id))),
    })),
  },
  {
    does: 'shows what it saw first, to who only reads',
    caughtBy: ['reading/looks-again'],
    redefines: whereItReads((intact) => {
      const seen = new Map<string, string>()
      return {
        async get(id) {
          const known = seen.get(id)
          if (known !== undefined) return layerMount(id, known, true)
          const place = mkdtempSync(path.join(tmpdir(), 'seen-'))
          await intact.workers.copy(intact.treeOf(id), place)
          seen.set(id, place)
          return layerMount(id, place, true)
        },
      }
    }),
  },
  {
    does: 'stops showing what several read when the first is done',
    caughtBy: ['reading/gets-counted'],
    redefines: whereItReads((intact) => {
      const shown = new Map<string, string>()
      return {
        async get(id) {
          const place = shown.get(id) ?? path.join(mkdtempSync(path.join(tmpdir(), 'shown-')), 'tree')
          if (!shown.has(id)) symlinkSync(intact.treeOf(id), place)
          shown.set(id, place)
          return layerMount(id, place, true, async () => rmSync(path.dirname(place), { recursive: true }))
        },
      }
    }),
  },
]
