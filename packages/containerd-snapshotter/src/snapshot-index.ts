/** All snapshots, in memory: what is asked for most is answered from here, whatever the disk does. */
import type { LayerId } from '@graphdriver/core'
import { SnapshotError } from './error.ts'
import type { SnapshotRecord } from './record.ts'

export interface HeldParent extends Disposable {
  readonly record: SnapshotRecord
}

export class SnapshotIndex {
  readonly #records = new Map<string, SnapshotRecord>()
  readonly #children = new Map<string, Set<string>>()
  /** How many snapshots have a layer. */
  readonly #layers = new Map<LayerId, number>()
  readonly #reserved = new Set<string>()
  /** Parents of snapshots that are being made. */
  readonly #held = new Map<string, number>()

  constructor(records: readonly SnapshotRecord[]) {
    for (const record of records) this.put(record)
  }

  /** @throws SnapshotError `not-found` */
  demand(key: string): SnapshotRecord {
    const record = this.#records.get(key)
    if (record === undefined) throw new SnapshotError('not-found', `snapshot ${key} does not exist`)
    return record
  }

  /**
   * A key for a snapshot that is being made.
   *
   * @throws SnapshotError `exists`, `invalid`
   */
  reserve(key: string): Disposable {
    if (key === '') throw new SnapshotError('invalid', 'a snapshot needs a name')
    if (this.#records.has(key) || this.#reserved.has(key))
      throw new SnapshotError('exists', `snapshot ${key} exists already`)
    this.#reserved.add(key)
    return { [Symbol.dispose]: () => void this.#reserved.delete(key) }
  }

  all(): Iterable<SnapshotRecord> {
    return this.#records.values()
  }

  hasLayer(layer: LayerId): boolean {
    return this.#layers.has(layer)
  }

  put(record: SnapshotRecord): void {
    this.remove(record.key)
    this.#records.set(record.key, record)
    count(this.#layers, record.layer, 1)
    if (record.parent === undefined) return
    const siblings = this.#children.get(record.parent) ?? new Set()
    this.#children.set(record.parent, siblings.add(record.key))
  }

  remove(key: string): void {
    const record = this.#records.get(key)
    if (record === undefined) return
    this.#records.delete(key)
    count(this.#layers, record.layer, -1)
    if (record.parent === undefined) return
    const siblings = this.#children.get(record.parent)
    siblings?.delete(key)
    if (siblings?.size === 0) this.#children.delete(record.parent)
  }

  /** A snapshot that is on this one, or is being made on it. */
  childOf(key: string): string | undefined {
    const [child] = this.#children.get(key) ?? []
    return child ?? (this.#held.has(key) ? 'one that is being made' : undefined)
  }

  /**
   * Keeps a parent from being removed while a child is made.
   *
   * @throws SnapshotError `not-found`, `invalid` for one that is not committed
   */
  holdParent(key: string): HeldParent {
    const record = this.demand(key)
    if (record.kind !== 'committed')
      throw new SnapshotError('invalid', `parent ${key} is not committed; commit it, or name another`)
    count(this.#held, key, 1)
    return { record, [Symbol.dispose]: () => count(this.#held, key, -1) }
  }

  /** Active ones whose layer was committed under another key: the process died before it forgot them. */
  superseded(): readonly SnapshotRecord[] {
    const committed = new Set<LayerId>()
    for (const { kind, layer } of this.#records.values()) if (kind === 'committed') committed.add(layer)
    return Array.from(this.#records.values()).filter(
      ({ kind, layer }) => kind === 'active' && committed.has(layer),
    )
  }
}

function count<K>(counts: Map<K, number>, key: K, difference: 1 | -1): void {
  const left = (counts.get(key) ?? 0) + difference
  if (left > 0) counts.set(key, left)
  else counts.delete(key)
}
