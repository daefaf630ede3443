import type { Change } from '@graphdriver/core'
import type { HistoryEntry, Image } from '@graphdriver/image'
import type { PathEvent } from '@graphdriver/layer-store'
import { UsageError } from '../failure.ts'
import type { Invocation } from '../invocation.ts'
import { imageNotFound } from '../not-found.ts'
import { formatBytes, shortDigest } from '../quantity.ts'
import { Session } from '../session.ts'
import type { Stores } from '../stores.ts'
import { findSubject, stackOf } from '../subject.ts'
import { table } from '../table.ts'

/** A step of an image's making, with the layer that it left. */
interface Step extends HistoryEntry {
  readonly diffId: string | undefined
  readonly size: number | undefined
}

/** What happened to a path, in a layer of images or in a writable one. */
interface Event {
  /** A DiffID, or the name of a writable layer. */
  readonly where: string
  readonly kind: PathEvent['kind']
  readonly by: string | undefined
  readonly entry:
    | {
        readonly type: string
        /** Octal. */
        readonly mode: string
        readonly uid: number
        readonly gid: number
        readonly size: number
        /** RFC 3339. */
        readonly modified: string
        readonly linkName: string | undefined
      }
    | undefined
}

/** `graphdriver history IMAGE|NAME|LAYER [PATH]`: how an image was made, or what its layers did to a path. */
export async function history(invocation: Invocation, word: string, file: string | undefined): Promise<void> {
  if (file?.startsWith('/') === false)
    throw new UsageError(`'${file}' is no absolute path; write it as it is in the image: /etc/passwd`)
  await using session = await Session.openExisting(invocation)
  if (session === undefined) throw imageNotFound(word)
  const { signal, output } = invocation
  await session.holding(async (stores) => {
    if (file === undefined) {
      const steps = stepsOf(await stores.images.find(word, stores.references), stores)
      output.result({ history: steps }, () => stepTable(steps))
      return
    }
    const events = await eventsOf(word, file, stores, signal)
    output.result({ path: file, events }, () =>
      events.length === 0 ? `no layer has ${file}\n` : eventTable(events),
    )
  })
}

function stepsOf({ chainId, config }: Image, { layers }: Stores): readonly Step[] {
  const stack = [...stackOf(chainId, layers.layers())]
  const steps = config.history.map((entry) => {
    const layer = entry.empty_layer ? undefined : stack.shift()
    return { ...entry, diffId: layer?.diffId, size: layer?.diffSize }
  })
  return steps.toReversed()
}

function stepTable(steps: readonly Step[]): string {
  const rows = steps.map(({ diffId, size, created, created_by: by, comment }) => [
    diffId === undefined ? '' : shortDigest(diffId),
    created?.slice(0, 19) ?? '',
    size === undefined ? '' : formatBytes(size),
    (by ?? comment ?? '').replaceAll(/\s+/g, ' ').slice(0, 100),
  ])
  return table(['DIFF ID', 'CREATED', 'SIZE', 'BY'], rows)
}

async function eventsOf(
  word: string,
  file: string,
  stores: Stores,
  signal: AbortSignal,
): Promise<readonly Event[]> {
  const subject = await findSubject(word, stores)
  const top =
    subject.kind === 'image'
      ? subject.image.chainId
      : subject.kind === 'layer'
        ? subject.layer.chainId
        : subject.writable.parent
  const below = top === undefined ? [] : await stores.layers.history(top, file, { signal })
  const events = below.map(eventOf)
  if (subject.kind !== 'writable') return events
  const own = (await subject.writable.changes({ signal })).find(({ path }) => String(path) === file)
  return own === undefined ? events : [...events, writtenIn(subject.writable.name, own)]
}

function eventOf({ layer, kind, by, entry }: PathEvent): Event {
  if (entry === undefined) return { where: layer.diffId, kind, by, entry }
  const { mtimeNs, mode, ...rest } = entry
  const modified = new Date(Number(mtimeNs / 1_000_000n)).toISOString()
  return {
    where: layer.diffId,
    kind,
    by,
    entry: { ...rest, mode: mode.toString(8).padStart(4, '0'), modified },
  }
}

const kinds = { add: 'added', modify: 'changed', delete: 'deleted' } as const

function writtenIn(where: string, { kind }: Change): Event {
  return { where, kind: kinds[kind], by: undefined, entry: undefined }
}

function eventTable(events: readonly Event[]): string {
  const rows = events.map(({ where, kind, by, entry }) => {
    const what = by === undefined ? kind : `${kind} by ${by}`
    if (entry === undefined) return [shortDigest(where), what]
    const { type, mode, uid, gid, size, modified, linkName } = entry
    const link = linkName === undefined ? '' : ` -> ${linkName}`
    return [
      shortDigest(where),
      what,
      `${type}${link}`,
      mode,
      `${uid}:${gid}`,
      formatBytes(size),
      modified.slice(0, 19),
    ]
  })
  return table(['LAYER', 'WHAT', 'TYPE', 'MODE', 'OWNER', 'SIZE', 'MODIFIED'], rows)
}
