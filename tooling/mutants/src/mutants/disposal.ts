import { closeSync, openSync, rmSync } from 'node:fs'
import path from 'node:path'
import { type LayerId, type Mount, type TarStream, GraphDriverError } from '@graphdriver/core'
import { mountsBelow } from '@graphdriver/core/conformance'
import { MNT, mount, MS, umount } from '@graphdriver/sys'
import type { Mutant } from '../mutant.ts'
import type { ReferenceDriver } from '../reference.ts'

type Break = NonNullable<Mutant['breaks']>

/** Driver and mounts of which something else happens at cleanup, and then cleanup. */
function cleansUp(action: (intact: ReferenceDriver, held: ReadonlySet<LayerId>) => void): Break {
  return (intact) => {
    const held = new Set<LayerId>()
    const cleanup = async (): Promise<void> => {
      action(intact, held)
      await intact.cleanup()
    }
    return {
      cleanup,
      [Symbol.asyncDispose]: cleanup,
      async get(id, options) {
        held.add(id)
        return intact.get(id, options)
      },
    }
  }
}

/** Mounts whose disposal is done by something else, which is told whether the driver was cleaned up. */
function disposesMounts(
  dispose: (mounted: Mount, intact: ReferenceDriver, closed: boolean) => Promise<void>,
): Break {
  return (intact) => {
    let closed = false
    const cleanup = (): Promise<void> => {
      closed = true
      return intact.cleanup()
    }
    return {
      cleanup,
      [Symbol.asyncDispose]: cleanup,
      async get(id, options) {
        const mounted = await intact.get(id, options)
        return { ...mounted, [Symbol.asyncDispose]: () => dispose(mounted, intact, closed) }
      },
    }
  }
}

/** A stream over the driver's own whose `return` does something as well. */
function returning(stream: TarStream, action: () => Promise<void>): TarStream {
  return {
    [Symbol.asyncIterator]() {
      const iterator = stream[Symbol.asyncIterator]()
      return {
        next: () => iterator.next(),
        async return() {
          await action()
          await iterator.return?.()
          return { done: true, value: undefined }
        },
      }
    },
  }
}

export const disposalMutants: readonly Mutant[] = [
  {
    does: 'cannot be cleaned up twice',
    caughtBy: ['disposal/cleanup-twice'],
    breaks: (intact) => {
      let closed = false
      return {
        async cleanup() {
          if (closed) throw new GraphDriverError('GD_CLOSED', 'reference was closed', { object: 'reference' })
          closed = true
          await intact.cleanup()
        },
      }
    },
  },
  {
    does: 'closes its home at cleanup, but not when it is disposed',
    caughtBy: ['disposal/disposing-is-cleanup'],
    breaks: (intact) => {
      let fd: number | undefined = openSync(intact.home, 'r')
      return {
        async cleanup() {
          if (fd !== undefined) closeSync(fd)
          fd = undefined
          await intact.cleanup()
        },
      }
    },
  },
  {
    does: 'keeps its home open after cleanup',
    caughtBy: ['disposal/no-open-files'],
    breaks: (intact) => {
      openSync(intact.home, 'r')
      return {}
    },
  },
  {
    does: 'deletes the layers that were mounted when it is cleaned up',
    caughtBy: ['disposal/cleanup-keeps-data', 'disposal/mounted-during-cleanup'],
    breaks: cleansUp((intact, held) => {
      for (const id of held) rmSync(path.dirname(intact.treeOf(id)), { recursive: true, force: true })
    }),
  },
  {
    does: 'makes what is mounted read-only when it is cleaned up',
    caughtBy: ['disposal/mounted-during-cleanup'],
    breaks: cleansUp((intact) => {
      for (const target of mountsBelow(intact.home)) {
        mount({ source: 'none', target, flags: MS.BIND | MS.REMOUNT | MS.RDONLY })
      }
    }),
  },
  {
    does: 'looks a layer up when its mount is disposed',
    caughtBy: ['disposal/mount-after-remove'],
    breaks: disposesMounts(async (mounted, intact) => {
      await intact.metadata(mounted.id)
      await mounted[Symbol.asyncDispose]()
    }),
  },
  {
    does: 'unmounts nothing once it was cleaned up',
    caughtBy: ['disposal/mount-after-cleanup'],
    breaks: disposesMounts(async (mounted, _intact, closed) => {
      if (!closed) await mounted[Symbol.asyncDispose]()
    }),
  },
  {
    does: 'refuses to dispose a mount once it was cleaned up',
    caughtBy: ['disposal/mount-after-cleanup', 'disposal/mounted-during-cleanup'],
    breaks: disposesMounts(async (mounted, _intact, closed) => {
      await mounted[Symbol.asyncDispose]()
      if (closed) throw new GraphDriverError('GD_CLOSED', 'reference was closed', { object: 'reference' })
    }),
  },
  {
    does: 'keeps its process alive',
    caughtBy: ['disposal/process-ends'],
    module: new URL('../driver-that-stays.ts', import.meta.url),
  },
  {
    does: 'unmounts what it packs only at the end of the stream',
    caughtBy: ['disposal/diff-left-early', 'disposal/diff-thrown-out-of'],
    breaks: (intact) => ({
      async *diff(id, parent, options) {
        const mounted = await intact.get(id, options)
        yield* intact.diff(id, parent, options)
        await mounted[Symbol.asyncDispose]()
      },
    }),
  },
  {
    does: 'puts a layer whenever its diff is left',
    caughtBy: ['disposal/diff-returned-twice'],
    breaks: (intact) => ({
      diff: (id, parent, options) => returning(intact.diff(id, parent, options), () => intact.put(id)),
    }),
  },
  {
    does: 'opens a layer for its diff before anything is read',
    caughtBy: ['disposal/diff-never-read'],
    breaks: (intact) => ({
      diff(id, parent, options) {
        const fd = openSync(intact.treeOf(id), 'r')
        return returning(intact.diff(id, parent, options), async () => closeSync(fd))
      },
    }),
  },
  {
    does: 'keeps its directory of layers open when a listing is left',
    caughtBy: ['disposal/layers-left-early'],
    breaks: (intact) => ({
      async *layers(options) {
        const fd = openSync(path.join(intact.home, 'layers'), 'r')
        yield* intact.layers(options)
        closeSync(fd)
      },
    }),
  },
  {
    does: 'unmounts the layers of other roots too when it is cleaned up',
    caughtBy: ['disposal/two-roots'],
    breaks: cleansUp((intact) => {
      for (const target of mountsBelow(path.resolve(intact.home, '../..'))) umount(target, MNT.DETACH)
    }),
  },
]
