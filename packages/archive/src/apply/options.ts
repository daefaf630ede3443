import type { CallOptions } from '@graphdriver/core'
import type { ArchiveLimits } from '../tar/limits.ts'
import type { SharedGate } from '../worker/gate.ts'
import type { SharedRing } from '../worker/ring.ts'

export type { ArchiveLimits } from '../tar/limits.ts'

/** How deletions are recorded in a directory that overlayfs will mount. */
export interface OverlayWhiteouts {
  readonly format: 'overlay'
  /** The namespace of the opaque attribute: `user` where a user namespace forbids `trusted`. */
  readonly xattr: 'trusted' | 'user'
}

/** The same in a directory that AUFS will mount, as files. Marks for overlayfs that are there too count as well. */
export interface AufsWhiteouts {
  readonly format: 'aufs'
  readonly xattr: 'trusted' | 'user'
}

/** How the directory of one layer records what it deletes of those below. */
export type LayerFormat = OverlayWhiteouts | AufsWhiteouts

/**
 * What a whiteout in the tar does to the tree.
 *
 * - `remove` deletes what it names: for a tree that already holds the layers below.
 * - `overlay` records it for the kernel: a character device 0:0, or the opaque attribute on a directory.
 * - `keep` extracts it as the file it is: for directories in AUFS format.
 */
export type WhiteoutMode = 'remove' | 'keep' | OverlayWhiteouts

/** What to do with a layer tar, in a form that crosses threads. */
export interface ApplyRequest {
  /** An existing directory. Nothing outside of it is changed, whatever the archive says. */
  readonly root: string
  readonly whiteouts: WhiteoutMode
  /**
   * With overlay whiteouts, the directories of the layers below, nearest first: where entries lie in directories that
   * the tar leaves out, those are made as they are there, and symlinks that are there are followed.
   */
  readonly lowers?: readonly string[] | undefined
  /** What tells when the layers below are complete, where they are not yet; they are not looked at before. */
  readonly below?: SharedGate | undefined
  /** Where small files go that another thread can make, if one comes. */
  readonly side?: SharedRing | undefined
  /**
   * The files that the tree has already are hard links to those of other layers, which are not to change with them: one
   * that an entry would change in place is copied first.
   */
  readonly shared?: boolean | undefined
  /** What the tree's filesystem takes for names: any bytes, by default, or only Unicode without colons. */
  readonly names?: 'bytes' | 'unicode' | undefined
  readonly limits?: Partial<ArchiveLimits> | undefined
}

export interface ApplyOptions extends CallOptions, Omit<ApplyRequest, 'root' | 'below' | 'side'> {
  /** Settles when the layers below are complete, where they are not yet. If it rejects, so does the call. */
  readonly below?: Promise<unknown> | undefined
}

export interface ApplyResult {
  readonly entries: number
  /** Sum of the sizes that the headers state. */
  readonly tarBytes: number
  /** Sum of the sizes of the non-directories that this tar left in the tree, each hard-linked file once. */
  readonly contentBytes: number
  /** The tar has an entry for the root directory itself. */
  readonly hasRoot?: boolean | undefined
  /** Device nodes that were left out, because a user namespace may not make them. */
  readonly skippedDevices: number
}
