/** From intents to recipes: every step can be done where it stands, in a plain directory and in a layer. */
import type { Intent } from './intent.ts'
import { type Inode, type InodeKind, join, names, TreeModel } from './model.ts'
import {
  append,
  type Attributes,
  attributes,
  type Content,
  device,
  directory,
  fifo,
  file,
  link,
  type Recipe,
  remove,
  rename,
  type Step,
  symlink,
  xattr,
} from './step.ts'

/** What recipes must not do, because the driver, the host or the case cannot have it. */
export interface Rules {
  readonly maxLayers: number
  /** With `file`, what has several names and lies in a lower layer is left alone: its links would break. */
  readonly copyUp: 'none' | 'file'
  /**
   * Whether every layer must be the difference to its parent, which can be told from two trees. A new link to what a
   * lower layer has cannot.
   */
  readonly diffable: boolean
  readonly owners: boolean
  readonly deviceNodes: boolean
  readonly xattrs: boolean
}

const fileModes: readonly number[] = [0o600, 0o755, 0o4755, 0o444, 0o2711, 0o640, 0o1666, 0o4511]
const directoryModes: readonly number[] = [0o700, 0o1777, 0o711, 0o2775, 0o775, 0o500]
const devices: readonly (readonly ['c' | 'b', readonly [number, number]])[] = [
  ['c', [1, 3]],
  ['b', [7, 0]],
  ['c', [259, 70_000]],
  ['b', [8, 17]],
]
const standardMode = { file: 0o644, directory: 0o755 } as const

/** One recipe per layer, the lowest first; there is at least one. */
export function resolve(intents: readonly Intent[], rules: Rules): readonly Recipe[] {
  const resolution = new Resolution(rules)
  for (const intent of intents) resolution.add(intent)
  return resolution.recipes
}

/** FNV-1a with a last stir, for texts that differ little. */
function hash(text: string): number {
  let state = 0x811c9dc5
  for (const byte of Buffer.from(text)) state = Math.imul(state ^ byte, 0x01000193) >>> 0
  state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) >>> 0
  return state ^ (state >>> 13)
}

/** The same choice as long as the chosen is there, whatever else comes or goes: failures stay while recipes shrink. */
function choose(candidates: readonly string[], number: number): string | undefined {
  let best: string | undefined
  let least = Infinity
  for (const candidate of candidates) {
    const rank = hash(`${number} ${candidate}`) >>> 0
    if (rank >= least) continue
    best = candidate
    least = rank
  }
  return best
}

function pick<T>(list: readonly [T, ...T[]] | readonly T[], number: number): T {
  const picked = list[number % list.length]
  if (picked === undefined) throw new Error('there is nothing to pick from')
  return picked
}

/** Those that are not directly in the root, where they are wanted and there are any: much happens at the top anyway. */
function deepOnes(paths: readonly string[], areWanted: boolean): readonly string[] {
  const deep = areWanted ? paths.filter((path) => path.includes('/')) : []
  return deep.length > 0 ? deep : paths
}

class Resolution {
  readonly recipes: Step[][] = [[]]
  readonly #model = new TreeModel()
  readonly #rules: Rules
  /** Counts what must be another value each time. */
  #serial = 0

  constructor(rules: Rules) {
    this.#rules = rules
  }

  add(intent: Intent): void {
    if (intent.verb === 'layer') return this.#nextLayer()
    this.#serial++
    const steps = this.#steps(intent)
    this.recipes.at(-1)?.push(...steps)
  }

  #nextLayer(): void {
    if (this.recipes.length >= this.#rules.maxLayers) return
    this.recipes.push([])
    this.#model.nextLayer()
  }

  #steps(intent: Intent): readonly Step[] {
    switch (intent.verb) {
      case 'file':
      case 'directory':
      case 'symlink':
      case 'device':
      case 'fifo':
        return this.#new(intent, intent.verb)
      case 'rewrite':
      case 'append':
        return this.#write(intent)
      case 'link':
        return this.#link(intent)
      case 'rename':
        return this.#rename(intent)
      case 'remove':
        return this.#remove(intent)
      case 'attributes':
        return this.#attributes(intent)
      case 'replace':
        return this.#replace(intent)
      case 'recreate':
        return this.#recreate(intent)
      case 'xattr':
        return this.#xattr(intent)
      case 'layer':
        return []
    }
  }

  /** Whether an inode can be written to without losing its other names. */
  readonly #isWritable = (inode: Inode): boolean =>
    this.#rules.copyUp === 'none' ||
    inode.kind === 'directory' ||
    inode.names.size === 1 ||
    inode.layer === this.#model.layer

  /** Whether a diff can say that an inode has another name now. */
  readonly #canGainName = (inode: Inode): boolean =>
    this.#isWritable(inode) && (!this.#rules.diffable || inode.changed === this.#model.layer)

  #new({ first, value }: Intent, kind: InodeKind): readonly Step[] {
    if ((kind === 'device' || kind === 'fifo') && !this.#rules.deviceNodes) return []
    const path = choose(deepOnes(this.#model.freePaths(), value % 2 === 0), first)
    return path === undefined ? [] : [this.#put(path, kind, value)]
  }

  #put(path: string, kind: InodeKind, value: number): Step {
    const wanted = value % 3 === 0 ? this.#dress(kind, value) : undefined
    const standard = kind === 'directory' || kind === 'file' ? standardMode[kind] : 0o600
    this.#model.make(path, kind, wanted?.mode ?? standard)
    switch (kind) {
      case 'file':
        return file(path, contentOf(value), wanted)
      case 'directory':
        return directory(path, wanted)
      case 'symlink':
        return symlink(path, this.#target(value))
      case 'device': {
        const [type, numbers] = pick(devices, value)
        return device(path, type, numbers, wanted)
      }
      case 'fifo':
        return fifo(path, wanted)
    }
  }

  /** Without root, what one may not read or write oneself is lost. */
  #modesOf(kind: InodeKind): readonly number[] {
    const modes = kind === 'directory' ? directoryModes : fileModes
    const least = kind === 'directory' ? 0o700 : 0o600
    return this.#rules.owners ? modes : modes.filter((mode) => (mode & least) === least)
  }

  #dress(kind: InodeKind, value: number): Attributes {
    const mode = pick(this.#modesOf(kind), value >> 2)
    return this.#rules.owners && value % 2 === 0
      ? { mode, uid: 1 + (value % 7), gid: 1 + (value % 5) }
      : { mode }
  }

  #target(value: number): string {
    const existing = choose(this.#model.paths(), value) ?? 'nowhere'
    return pick(['a', '../a', `/${existing}`, existing, 'nowhere/at all', '.'], value)
  }

  #write({ verb, first, value }: Intent): readonly Step[] {
    const path = choose(
      this.#model.paths((inode) => inode.kind === 'file' && this.#isWritable(inode)),
      first,
    )
    if (path === undefined) return []
    this.#model.change(this.#model.at(path))
    return [verb === 'append' ? append(path, contentOf(value | 1)) : file(path, contentOf(value))]
  }

  #link({ first, second }: Intent): readonly Step[] {
    const to = choose(
      this.#model.paths((inode) => inode.kind !== 'directory' && this.#canGainName(inode)),
      first,
    )
    const path = choose(this.#model.freePaths(), second)
    if (to === undefined || path === undefined) return []
    this.#model.link(path, to)
    return [link(path, to)]
  }

  /** Directories go to where there is nothing, everything else may go over something. */
  #rename({ first, second, value }: Intent): readonly Step[] {
    const model = this.#model
    const from = choose(
      model.paths(
        (inode) => inode.kind === 'directory' || inode.names.size === 1 || this.#canGainName(inode),
      ),
      first,
    )
    if (from === undefined) return []
    const moved = model.at(from)
    if (moved.kind === 'directory') {
      const free = model.freePaths(model.heightOf(from)).filter((path) => !path.startsWith(`${from}/`))
      const to = choose(free, second)
      if (to === undefined) return []
      model.copyAndRemove(from, to)
      return [rename(from, to)]
    }
    const taken = model.paths((inode) => inode.kind !== 'directory' && inode !== moved)
    // Back to where it was, it would be written by some drivers and be no change to others.
    const isBack = (path: string): boolean => moved.changed !== model.layer && model.wasAt(path, moved)
    const targets = value % 3 === 0 && taken.length > 0 ? taken : model.freePaths()
    const to = choose(
      targets.filter((path) => !isBack(path)),
      second,
    )
    if (to === undefined) return []
    model.move(from, to)
    return [rename(from, to)]
  }

  #remove({ first, value }: Intent): readonly Step[] {
    const path = choose(deepOnes(this.#model.paths(), value % 3 !== 0), first)
    if (path === undefined) return []
    this.#model.remove(path)
    return [remove(path)]
  }

  /** Never what the file had, now or when the layer began: that would be written by some and no change to others. */
  #attributes({ first, value }: Intent): readonly Step[] {
    const path = choose([...this.#root(), ...this.#model.paths(this.#isWritable)], first)
    if (path === undefined) return []
    const inode = this.#model.at(path)
    const mtime = 1_500_000_000 + this.#serial * 10 + 0.25
    this.#model.change(inode)
    if (inode.kind === 'symlink') return [attributes(path, { mtime })]
    const free = this.#modesOf(inode.kind).filter((mode) => mode !== inode.mode && mode !== inode.modeBefore)
    const mode = pick(free, value >> 2)
    const kind = value % 4
    if (kind === 0) return [attributes(path, { mtime })]
    inode.mode = mode
    if (kind === 1) return [attributes(path, { mode, mtime })]
    if (kind === 2 && this.#rules.owners)
      // With the mode, for chown(2) takes bits of it.
      return [attributes(path, { mode, uid: 100 + this.#serial, gid: value % 9 })]
    return [attributes(path, { mode })]
  }

  /** By something of another type. */
  #replace({ first, value }: Intent): readonly Step[] {
    const path = choose(this.#model.paths(), first)
    if (path === undefined) return []
    const { kind } = this.#model.at(path)
    const others = (['directory', 'file', 'symlink'] as const).filter((other) => other !== kind)
    this.#model.remove(path)
    const other = pick(others, value)
    const steps = [remove(path), this.#put(path, other, value)]
    return other === 'directory' ? [...steps, ...this.#fill(path, value)] : steps
  }

  /** A directory, removed and made again, hides what it had. */
  #recreate({ first, second, value }: Intent): readonly Step[] {
    const path = choose(
      this.#model.paths((inode) => inode.kind === 'directory'),
      first,
    )
    if (path === undefined) return []
    const inside = this.#model.below(path).filter((other) => other !== path)
    const again =
      value % 3 === 0
        ? undefined
        : choose(
            inside.filter((other) => !other.slice(path.length + 1).includes('/')),
            second,
          )
    this.#model.remove(path)
    const steps = [remove(path), this.#put(path, 'directory', value)]
    if (again === undefined) return steps
    return [...steps, this.#put(again, value % 2 === 0 ? 'file' : 'directory', value)]
  }

  /** A layer has the attributes of its root, a diff has not. */
  #root(): readonly string[] {
    return this.#rules.diffable ? [] : ['']
  }

  #fill(path: string, value: number): readonly Step[] {
    const free = new Set(this.#model.freePaths())
    const inside = join(path, pick(names, value))
    return value % 2 === 0 && free.has(inside) ? [this.#put(inside, 'file', value)] : []
  }

  #xattr({ first, value }: Intent): readonly Step[] {
    if (!this.#rules.xattrs) return []
    // Only these two may have attributes in `user` (xattr(7)).
    const isMeant = ({ kind }: Inode): boolean => kind === 'file' || kind === 'directory'
    const inTree = this.#model.paths((inode) => isMeant(inode) && this.#isWritable(inode))
    const path = choose([...this.#root(), ...inTree], first)
    if (path === undefined) return []
    this.#model.change(this.#model.at(path))
    return [xattr(path, pick(['user.one', 'user.two'], value), `value ${this.#serial}`)]
  }
}

function contentOf(value: number): Content {
  const text = `content ${String(value).padStart(3, '0')}\n`
  return pick(
    ['', text, text, String(value), { bytes: 4097, seed: value }, { bytes: 70_000, seed: value }],
    value >> 1,
  )
}
