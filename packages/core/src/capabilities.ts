/**
 * What an open driver can do on its host, as data with degrees.
 *
 * The conformance suite, the documentation and the selector read this record; nothing else may repeat it. A
 * driver states what is true of this instance: the same driver on another filesystem may state other things.
 */
export interface Capabilities {
  /** What is shared when a layer starts as a copy of its parent. */
  readonly sharing: 'none' | 'extents' | 'files' | 'blocks'
  /** Whether `diff` reads only what changed, or walks two whole trees. */
  readonly diff: { readonly native: true } | { readonly native: false; readonly reason: string }
  /**
   * What happens when something of a lower layer is first written to. With `file` it is copied then, which programs
   * can see: its other hard links keep the old content, what had it mapped into memory (before Linux 4.19: open for
   * reading) goes on seeing the old one, and rename(2) of a directory of a lower layer may fail with EXDEV.
   */
  readonly copyUp: 'none' | 'file'
  /** How deep a stack can be mounted, the layer itself included; `Infinity` where the driver sets no bound. */
  readonly maxDepth: number
  /** The finest time that survives create, diff and apply: Windows counts hundreds of nanoseconds. */
  readonly timestamps: 'nanoseconds' | 'hundreds-of-nanoseconds' | 'seconds'
  /**
   * What a name may be: any bytes; only Unicode without a colon, which stands before a stream there; or only what Windows
   * takes, to which upper and lower case are one.
   */
  readonly names: 'bytes' | 'unicode' | 'windows'
  /** Whether names of one file still are in the layer's children, and after a diff. */
  readonly hardLinks: boolean
  /** Which extended attributes a layer keeps. */
  readonly xattrs: 'all' | 'security' | 'none'
  /** Whether device nodes can be made here (a user namespace cannot). */
  readonly deviceNodes: boolean
  /** Whether files may belong to any uid and gid; `none` where they have neither those nor the modes of Unix. */
  readonly ownership: 'any' | 'mapped' | 'none'
  /** Whether a layer can be shown with other owners (`getMapped`), where the kernel and the filesystem let it. */
  readonly mappedOwners: boolean
  /**
   * By what means a layer is kept to its `size`: the filesystem's own count of a project, quota group or dataset, a
   * block device of that size, or a filesystem in a file (`loop`), which only grows.
   */
  readonly quota: 'none' | 'project' | 'qgroup' | 'dataset' | 'device' | 'loop'
  /** Whether the option `inodes` limits how many files a layer has. */
  readonly inodeQuota: boolean
  /** Whether `mountLabel` (an SELinux context) has an effect. */
  readonly mountLabel: boolean
}
