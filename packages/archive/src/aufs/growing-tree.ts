import { isSystemError, mkdirat, type Path } from '@graphdriver/sys'
import { ParentDirectories } from '../tree/parent-directories.ts'

const slash = 0x2f

/** A tree that gets the directories it is asked for. */
export class GrowingTree implements Disposable {
  readonly #directories: ParentDirectories
  readonly #made: Buffer[] = []

  constructor(root: Path) {
    this.#directories = new ParentDirectories(root)
  }

  /** Paths of what was made, each before those in it. */
  get made(): readonly Buffer[] {
    return this.#made
  }

  /**
   * A directory, made if need be with those above it, open to its owner only.
   *
   * @returns a descriptor, valid until the next call
   */
  directory(path: Buffer): number {
    const found = this.#directories.directory(path)
    if (found !== undefined) return found
    const split = path.lastIndexOf(slash)
    const above = this.directory(path.subarray(0, Math.max(split, 0)))
    try {
      mkdirat(above, path.subarray(split + 1), 0o700)
      this.#made.push(path)
    } catch (error) {
      if (!isSystemError(error, 'EEXIST')) throw error
    }
    const made = this.#directories.directory(path)
    if (made === undefined) throw new Error(`${path.toString()}: something keeps removing it`)
    return made
  }

  [Symbol.dispose](): void {
    this.#directories[Symbol.dispose]()
  }
}
