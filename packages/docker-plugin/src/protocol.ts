/**
 * Docker's graphdriver plugin protocol: HTTP/1.1 POST to `/GraphDriver.<Call>` on a socket, JSON both ways but for the
 * bodies that are layer tars. Source: Docker 20.10, pkg/plugins and daemon/graphdriver/proxy.go.
 *
 * What the contract of drivers has and this protocol has not is asked for under `/GraphDriverExtension.<Call>`, and in
 * fields of answers that Docker does not read.
 */
import type { Capabilities, Change, Quota, Usage } from '@graphdriver/core'

export const contentType = 'application/vnd.docker.plugins.v1.2+json'
export const tarType = 'application/x-tar'

/** Names a call, so that it can be cancelled. */
export const callHeader = 'x-graphdriver-call'

/** Calls that Docker makes with a JSON object and that are answered with one. */
export const dockerCalls = [
  'Init',
  'Capabilities',
  'Create',
  'CreateReadWrite',
  'Remove',
  'Get',
  'Put',
  'Exists',
  'Status',
  'GetMetadata',
  'Cleanup',
  'Changes',
  'DiffSize',
] as const
export type DockerCall = (typeof dockerCalls)[number]

export const extensionCalls = ['Describe', 'Layers', 'Usage', 'SetQuota'] as const
export type ExtensionCall = (typeof extensionCalls)[number]

/** The path of a request for a call. */
export function targetOf(call: DockerCall | ExtensionCall): string {
  const isExtension = extensionCalls.some((own) => own === call)
  return `/${isExtension ? 'GraphDriverExtension' : 'GraphDriver'}.${call}`
}

/** Ends the call whose name is its `ID`, and answers when that has ended. */
export const cancelTarget = '/GraphDriverExtension.Cancel'

export interface IdMap {
  readonly container_id: number
  readonly host_id: number
  readonly size: number
}

/** What any call may say; what is absent, or null, is nothing. */
export interface Request {
  readonly Home?: string | null
  /** `key=value`, as dockerd was given them with `--storage-opt`. */
  readonly Opts?: readonly string[] | null
  readonly UIDMaps?: readonly IdMap[] | null
  readonly GIDMaps?: readonly IdMap[] | null
  readonly ID?: string | null
  readonly Parent?: string | null
  readonly MountLabel?: string | null
  readonly StorageOpt?: Readonly<Record<string, string>> | null
  /** Ours, of `SetQuota`. */
  readonly Quota?: Quota | null
}

export const changeKinds: readonly Change['kind'][] = ['modify', 'add', 'delete']

/** What any answer may say. */
export interface Response {
  /** Empty or absent for a call that did what it should. */
  readonly Err?: string
  readonly Implements?: readonly string[]
  readonly Dir?: string
  readonly Exists?: boolean
  readonly Status?: readonly (readonly [string, string])[]
  readonly Changes?: readonly { readonly Path: string; readonly Kind: number }[]
  /** Bytes. */
  readonly Size?: number
  readonly Metadata?: Readonly<Record<string, string>>
  readonly Capabilities?: { readonly ReproducesExactDiffs: boolean }
  /** Ours, beside `Err`. */
  readonly Failure?: Failure
  /** Ours, beside `Dir`. */
  readonly ReadOnly?: boolean
  readonly Description?: Description
  readonly Layers?: readonly string[]
  readonly Usage?: Usage
}

/** What was thrown, for who can make use of more than its text. */
export interface Failure {
  readonly code: string
  readonly details?: unknown
  /** Of an error of the host's. */
  readonly errno?: number
  readonly syscall?: string
  readonly path?: string
}

/** Of the driver behind a plugin. */
export interface Description {
  readonly name: string
  readonly home: string
  /** No bound of depth is null: JSON has no Infinity. */
  readonly capabilities: Omit<Capabilities, 'maxDepth'> & { readonly maxDepth: number | null }
  /** Which of the calls that a driver may leave out it has. */
  readonly optional: readonly ('setQuota' | 'usage')[]
}
