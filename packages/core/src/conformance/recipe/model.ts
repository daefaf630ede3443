/**
 * What a recipe has made of a tree so far, as far as the next step depends on it: which paths there are, which of
 * them are one inode, and what of it belongs to layers below.
 */

export type InodeKind = 'file' | 'directory' | 'symlink' | 'device' | 'fifo'

export interface Inode {
  readonly kind: InodeKind
  readonly names: Set<string>
  mode: number
  /** The mode that it had when the layer began; undefined for one that the layer made. */
  modeBefore: number | undefined
  /** The last layer that made it or wrote to it in any way: there, with `copyUp: 'file'`, it lies. */
  layer: number
  /** The last layer in which its metadata became other than below, so that any diff carries it. */
  changed: number
}

export function join(directory: string, name: string): string {
  return directory === '' ? name : `${directory}/${name}`
}

function depthOf(path: string): number {
  return path === '' ? 0 : path.split('/').length
}

/** Few, so that what one layer does meets what another did; each one trouble for somebody. */
export const names: readonly string[] = ['a', 'a-b', 'ü', 'with space', '.hidden', 'n'.repeat(120)]

const maxDepth = 4

export class TreeModel {
  #layer = 0
  readonly #files = new Map<string, Inode>()
  /** As the layer began. */
  #before: ReadonlyMap<string, Inode> = new Map()

  constructor() {
    this.make('', 'directory', 0o755)
  }

  get layer(): number {
    return this.#layer
  }

  nextLayer(): void {
    this.#layer++
    this.#before = new Map(this.#files)
    for (const inode of this.#files.values()) inode.modeBefore = inode.mode
  }

  /** Every path but the root's. */
  paths(isMeant: (inode: Inode, path: string) => boolean = () => true): readonly string[] {
    return [...this.#files].flatMap(([path, inode]) => (path !== '' && isMeant(inode, path) ? [path] : []))
  }

  /** Paths at which there is nothing, and could be. `height` levels must fit there. */
  freePaths(height = 1): readonly string[] {
    const directories = [...this.#files].filter(([, { kind }]) => kind === 'directory')
    return directories
      .filter(([path]) => depthOf(path) + height <= maxDepth)
      .flatMap(([path]) => names.map((name) => join(path, name)))
      .filter((path) => !this.#files.has(path))
  }

  at(path: string): Inode {
    const inode = this.#files.get(path)
    if (inode === undefined) throw new Error(`the model has no ${path}`)
    return inode
  }

  /** The path and what is below it, the path first. */
  below(path: string): readonly string[] {
    return [...this.#files.keys()]
      .filter((other) => other === path || other.startsWith(`${path}/`))
      .toSorted()
  }

  /** How many levels there are at and below a path. */
  heightOf(path: string): number {
    return Math.max(...this.below(path).map(depthOf)) - depthOf(path) + 1
  }

  /** Whether an inode had this path when the layer began. */
  wasAt(path: string, inode: Inode): boolean {
    return this.#before.get(path) === inode
  }

  make(path: string, kind: InodeKind, mode: number): void {
    const layer = this.#layer
    this.#files.set(path, {
      kind,
      mode,
      layer,
      names: new Set([path]),
      modeBefore: undefined,
      changed: layer,
    })
  }

  link(path: string, to: string): void {
    const inode = this.at(to)
    this.#files.set(path, inode)
    inode.names.add(path)
    this.change(inode)
  }

  change(inode: Inode): void {
    inode.layer = this.#layer
    inode.changed = this.#layer
  }

  /** rename(2) of what is no directory, over what is none. */
  move(from: string, to: string): void {
    const inode = this.at(from)
    if (this.#files.has(to)) this.remove(to)
    this.#drop(from)
    this.#files.set(to, inode)
    inode.names.add(to)
    inode.layer = this.#layer
  }

  /** A directory moves by being copied: what was linked within it is linked again, other links are left behind. */
  copyAndRemove(from: string, to: string): void {
    const copies = new Map<Inode, string>()
    for (const path of this.below(from)) {
      const inode = this.at(path)
      const copy = to + path.slice(from.length)
      const first = copies.get(inode)
      if (first === undefined) this.make(copy, inode.kind, inode.mode)
      else this.link(copy, first)
      copies.set(inode, first ?? copy)
    }
    this.remove(from)
  }

  remove(path: string): void {
    for (const name of this.below(path)) this.#drop(name)
  }

  #drop(path: string): void {
    this.at(path).names.delete(path)
    this.#files.delete(path)
  }
}
