/** A directory's times, in nanoseconds. */
export interface Times {
  readonly atimeNs: bigint | undefined
  readonly mtimeNs: bigint
}

/**
 * A real directory below the root (never a symlink to one), and what this tar has done in it.
 *
 * Only directories that the tar names or passes through are known, so memory does not grow with the number of files
 * in a fresh tree.
 */
export class Directory {
  readonly name: string
  readonly parent: Directory | undefined
  readonly depth: number
  /** This tar made it: all that is inside is this tar's. */
  readonly fresh: boolean
  /** The tar has an entry for it. */
  listed = false
  /** The tar has an entry in it, if only a whiteout. */
  reached = false
  /** Names came or went in it, so that its times are no longer what they were. */
  touched = false
  /** Nothing of the layers below is to show in it. */
  opaque = false
  /** Of its group id, what is known for certain. */
  group: number | undefined
  /** What its times shall be when the tar is through. */
  times: Times | undefined
  /** -1 while it is not open. */
  fd = -1
  #children: Map<string, Directory> | undefined
  #files: Set<string> | undefined

  constructor(name: string, parent: Directory | undefined, fresh: boolean) {
    this.name = name
    this.parent = parent
    this.fresh = fresh
    this.depth = parent === undefined ? 0 : parent.depth + 1
    if (parent !== undefined) (parent.#children ??= new Map()).set(name, this)
  }

  /** The names that lead here from the root. */
  path(): string[] {
    return this.parent === undefined ? [] : [...this.parent.path(), this.name]
  }

  /** Whether it or a directory that it is in is opaque. */
  get hidesLower(): boolean {
    return this.opaque || this.parent?.hidesLower === true
  }

  child(name: string): Directory | undefined {
    return this.#children?.get(name)
  }

  children(): Iterable<Directory> {
    return this.#children?.values() ?? []
  }

  forgetChild(name: string): void {
    this.#children?.delete(name)
  }

  /** Notes that this tar put a non-directory here. */
  own(name: string): void {
    this.touched = true
    if (!this.fresh) (this.#files ??= new Set()).add(name)
  }

  disown(name: string): void {
    this.touched = true
    this.#files?.delete(name)
  }

  /** Whether the non-directory `name` was put here by this tar. */
  owns(name: string): boolean {
    return this.fresh || this.#files?.has(name) === true
  }

  /** Whether this tar has anything to say of this directory, or of one below. */
  get contributes(): boolean {
    if (this.fresh || this.listed || this.reached) return true
    for (const child of this.children()) if (child.contributes) return true
    return false
  }
}
