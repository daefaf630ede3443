/** What a worker can be asked to do, and what it answers. Everything here crosses by structured clone. */
import type { Change } from '@graphdriver/core'
import type { MakeFilesRequest, MakeFilesResult } from '../apply/make-files.ts'
import type { ApplyRequest, ApplyResult, LayerFormat } from '../apply/options.ts'
import type { Shade, ShadeRequest } from '../aufs/shade.ts'
import type { Touched } from '../tree/touched.ts'
import type { Failure } from './failure.ts'
import type { SharedGate } from './gate.ts'

/** Two trees, and where they may differ, if that is known. */
export interface Comparison {
  readonly tree: string
  readonly base: string | undefined
  readonly touched: Touched | undefined
}

/** A step between the formats of AUFS and overlayfs. */
export type Conversion =
  | { readonly to: LayerFormat['format']; readonly tree: string; readonly xattr: LayerFormat['xattr'] }
  | { readonly to: 'aside' | 'back'; readonly tree: string; readonly aside: string }

/** Each kind of job with its own input and answer. Bytes go beside it, through the ring. */
export interface Jobs {
  readonly apply: {
    readonly input: ApplyRequest
    readonly answer: ApplyResult
  }
  readonly makeFiles: {
    readonly input: MakeFilesRequest
    readonly answer: MakeFilesResult
  }
  readonly changes: {
    readonly input: Comparison
    readonly answer: readonly Change[]
  }
  readonly diff: {
    readonly input: Comparison
    readonly answer: undefined
  }
  readonly exportChanges: {
    readonly input: { readonly tree: string; readonly changes: readonly Change[] }
    readonly answer: undefined
  }
  readonly pack: {
    readonly input: {
      readonly tree: string
      readonly whiteouts: 'none' | LayerFormat
      readonly only?: string | undefined
    }
    readonly answer: undefined
  }
  readonly countDirectories: { readonly input: { readonly tree: string }; readonly answer: number }
  readonly size: { readonly input: { readonly tree: string }; readonly answer: number }
  readonly changesSize: {
    readonly input: { readonly tree: string; readonly changes: readonly Change[] }
    readonly answer: number
  }
  readonly copy: {
    readonly input: {
      readonly source: string
      readonly target: string
      readonly mode: 'content' | 'hardlink'
      readonly overlayXattrs: 'trusted' | 'user' | undefined
    }
    readonly answer: { readonly reflinked: boolean }
  }
  readonly shade: { readonly input: ShadeRequest; readonly answer: Shade }
  readonly convert: { readonly input: Conversion; readonly answer: undefined }
  readonly remove: {
    readonly input: {
      readonly path: string
      /** About so many entries at the most; all of them when absent. */
      readonly entries?: number | undefined
      /** Works half of the time, until this opens; all of the time when absent. */
      readonly pace?: SharedGate | undefined
    }
    /** Whether nothing is left. */
    readonly answer: boolean
  }
}

export type JobKind = keyof Jobs

export type Job = {
  readonly [Kind in JobKind]: { readonly kind: Kind; readonly input: Jobs[Kind]['input'] }
}[JobKind]

export type Reply =
  | { readonly ok: true; readonly answer: Jobs[JobKind]['answer'] }
  | { readonly ok: false; readonly failure: Failure }
