/**
 * What every driver can do that can show its layers: find differences by walking two mounted trees.
 *
 * Docker waits a second after each such diff, so that a file changed in the same second gets a later time in whole
 * seconds. Layers written here have nanoseconds, and the wait is left out.
 */
import type { DiffDriver, LayerId, Mount, ProtoDriver } from '@graphdriver/core'
import type { TreeWorkers } from './tree-workers.ts'

/** Supplies `diff`, `changes`, `applyDiff` and `diffSize` for a driver that has none of its own. */
export function naiveDiff(proto: ProtoDriver, workers: TreeWorkers): DiffDriver {
  return {
    async *diff(id, parent, { signal } = {}) {
      await using layer = await proto.get(id, { signal })
      await using base = await mountOf(proto, parent, signal)
      yield* workers.diff(layer.path, base?.path, { signal })
    },

    async changes(id, parent, { signal } = {}) {
      await using layer = await proto.get(id, { signal })
      await using base = await mountOf(proto, parent, signal)
      return await workers.changes(layer.path, base?.path, { signal })
    },

    async applyDiff(id, _parent, tar, { signal } = {}) {
      await using layer = await proto.get(id, { signal })
      const applied = await workers.apply(layer.path, tar, { whiteouts: 'remove', signal })
      return applied.contentBytes
    },

    async diffSize(id, parent, { signal } = {}) {
      await using layer = await proto.get(id, { signal })
      await using base = await mountOf(proto, parent, signal)
      const changes = await workers.changes(layer.path, base?.path, { signal })
      return await workers.changesSize(layer.path, changes, { signal })
    },
  }
}

async function mountOf(
  proto: ProtoDriver,
  id: LayerId | undefined,
  signal: AbortSignal | undefined,
): Promise<Mount | null> {
  return id === undefined ? null : await proto.get(id, { signal })
}
