/**
 * The image config: what a container of the image runs, and the layers it stands on. Its bytes are the image, and
 * their digest is the image's id; so they are kept as they came, and this is only a reading of them. Names are
 * those of the file.
 *
 * @see https://github.com/opencontainers/image-spec/blob/main/config.md
 */
import { type DiffId, parseDiffId } from '@graphdriver/core'
import { type JsonFailure, type JsonValue, parseJson } from './json.ts'

export interface ImageConfig {
  readonly os: string
  /** Absent only from images older than the field. */
  readonly architecture: string | undefined
  readonly variant: string | undefined
  /** RFC 3339. */
  readonly created: string | undefined
  readonly author: string | undefined
  readonly config: ContainerConfig
  readonly rootfs: {
    readonly type: 'layers'
    /** Base first. */
    readonly diff_ids: readonly DiffId[]
  }
  readonly history: readonly HistoryEntry[]
}

/** How to run a container, unless its user says otherwise. */
export interface ContainerConfig {
  readonly Cmd: readonly string[]
  readonly Entrypoint: readonly string[]
  /** `NAME=value`. */
  readonly Env: readonly string[]
  readonly WorkingDir: string | undefined
  /** `user`, `uid`, `user:group`, `uid:gid` … */
  readonly User: string | undefined
  readonly Labels: Readonly<Record<string, string>>
  /** `port/protocol`. */
  readonly ExposedPorts: readonly string[]
  /** Paths. */
  readonly Volumes: readonly string[]
  readonly StopSignal: string | undefined
}

/** One step of the image's making. */
export interface HistoryEntry {
  readonly created: string | undefined
  readonly created_by: string | undefined
  readonly author: string | undefined
  readonly comment: string | undefined
  /** The step left no layer. */
  readonly empty_layer: boolean
}

/** More than this no config is: Docker's own limit for what a registry may send. */
export const maxConfigBytes: number = 8 * 1024 * 1024

/** @throws what `fail` makes */
export function parseImageConfig(bytes: Uint8Array, fail: JsonFailure): ImageConfig {
  const document = parseJson(bytes, fail)
  const rootfs = document.field('rootfs')
  if (rootfs.absent) throw fail("has no 'rootfs'; images of before Docker 1.10 have to be pulled again")
  const type = rootfs.field('type')
  if (type.string() !== 'layers') throw type.fail("is not 'layers'")
  const diffIds = rootfs
    .field('diff_ids')
    .list()
    .map((value) => value.parsed(parseDiffId))
  const history = document.field('history').list().map(historyEntry)
  const filled = history.filter((entry) => !entry.empty_layer).length
  if (filled > diffIds.length) {
    throw document.field('history').fail(`tells of ${filled} layers where 'rootfs' has ${diffIds.length}`)
  }
  return {
    os: document.field('os').text() ?? 'linux',
    architecture: document.field('architecture').text(),
    variant: document.field('variant').text(),
    created: document.field('created').text(),
    author: document.field('author').text(),
    config: containerConfig(document.field('config')),
    rootfs: { type: 'layers', diff_ids: diffIds },
    history,
  }
}

const nothing: ContainerConfig = {
  Cmd: [],
  Entrypoint: [],
  Env: [],
  WorkingDir: undefined,
  User: undefined,
  Labels: {},
  ExposedPorts: [],
  Volumes: [],
  StopSignal: undefined,
}

function containerConfig(value: JsonValue): ContainerConfig {
  if (value.absent) return nothing
  return {
    Cmd: command(value.field('Cmd')),
    Entrypoint: command(value.field('Entrypoint')),
    Env: value.field('Env').strings(),
    WorkingDir: value.field('WorkingDir').text(),
    User: value.field('User').text(),
    Labels: Object.fromEntries(
      value
        .field('Labels')
        .entries()
        .map(([name, label]) => [name, label.string()]),
    ),
    ExposedPorts: keys(value.field('ExposedPorts')),
    Volumes: keys(value.field('Volumes')),
    StopSignal: value.field('StopSignal').text(),
  }
}

/** A list; the oldest images have a single string. */
function command(value: JsonValue): readonly string[] {
  return value.isString ? [value.string()] : value.strings()
}

/** Go's way of writing a set. */
function keys(value: JsonValue): readonly string[] {
  return value.entries().map(([key]) => key)
}

function historyEntry(value: JsonValue): HistoryEntry {
  return {
    created: value.field('created').text(),
    created_by: value.field('created_by').text(),
    author: value.field('author').text(),
    comment: value.field('comment').text(),
    empty_layer: value.field('empty_layer').optional((flag) => flag.boolean()) ?? false,
  }
}
