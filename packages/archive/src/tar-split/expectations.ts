import { inUserNamespace, readlinkat, RESOLVE, S, type Stat } from '@graphdriver/sys'
import { cleanName, type EntryPath } from '../apply/entry-path.ts'
import { modeBits } from '../apply/metadata.ts'
import { meaningOf } from '../apply/whiteout.ts'
import type { TarHeader } from '../tar/header.ts'
import type { TarHandler } from '../tar/parser.ts'
import { entryTypes } from '../tree/entry-writer.ts'
import { ParentDirectories } from '../tree/parent-directories.ts'
import type { TreeEntry } from '../tree/walk.ts'
import type { TreeDamage } from './examine.ts'
import type { Elsewhere } from './places.ts'

type Expected = Pick<TarHeader, 'type' | 'mode' | 'uid' | 'gid' | 'devMajor' | 'devMinor'> & {
  /** Of a symbolic link. */
  readonly target: Buffer | undefined
  /** Its content is compared by itself, and missed if it is missing. */
  readonly hasContent: boolean
}

/** What the entries of a tar say of the tree that they leave, but for contents. */
export class EntryExpectations implements TarHandler {
  /** By path: of several entries for one, the last counts. */
  readonly #expected = new Map<EntryPath, Expected>()
  /** Hard links, with the path that each is another name of. */
  readonly #links = new Map<EntryPath, EntryPath>()
  /** Paths whose inode has other names: whichever entry came last has said what all of them are like. */
  readonly #linked = new Set<EntryPath>()
  /** A layer of Windows, whose headers say nothing of owners and modes, and write targets of links in another way. */
  #isOfWindows = false

  header(header: TarHeader): void {
    this.#isOfWindows ||= header.pax.some(({ key }) => key.startsWith('MSWINDOWS.'))
    const path = cleanName(header.name)
    // The root is what the layers above make of it.
    if (path === undefined || path === '') return
    const meaning = meaningOf(path, 'remove')
    if (meaning.kind === 'whiteout') this.#forget(`${meaning.directory}/${meaning.name}`.replace(/^\//, ''))
    if (meaning.kind !== 'entry') return
    if (header.type === 'hardlink') {
      this.#forget(path)
      const target = cleanName(header.linkName) ?? ''
      this.#linked.add(path).add(target)
      this.#links.set(path, target)
      return
    }
    if (header.type !== 'directory') this.#forget(path)
    const { mode, uid, gid, devMajor, devMinor } = header
    const type = header.type === 'other' ? 'file' : header.type
    const target = type === 'symlink' ? Buffer.from(header.linkName) : undefined
    this.#expected.set(path, {
      type,
      mode,
      uid,
      gid,
      devMajor,
      devMinor,
      target,
      hasContent: header.size > 0,
    })
  }

  data(): void {}

  /** @param elsewhere what is not beneath the root may be there, its entry having come through a link of a layer below */
  async compare(root: string, elsewhere: Elsewhere, onDamage: (damage: TreeDamage) => void): Promise<void> {
    using here = directoriesOf(root)
    const missing: EntryPath[] = []
    for (const path of this.#expected.keys()) {
      const found = here.locate(bytesOf(path))
      if (found === undefined) missing.push(path)
      else this.#tell(path, found, onDamage)
    }
    const missingLinks = [...this.#links.keys()].filter((path) => here.locate(bytesOf(path)) === undefined)
    if (missing.length + missingLinks.length === 0) return
    using there = elsewhere === undefined ? undefined : directoriesOf(await elsewhere())
    for (const path of missing) this.#tell(path, there?.locate(bytesOf(path)), onDamage)
    for (const path of missingLinks) {
      if (there?.locate(bytesOf(path)) !== undefined) continue
      const target = bytesOf(this.#links.get(path) ?? '').toString()
      onDamage({ path: bytesOf(path).toString(), expected: `a hard link to ${target}`, found: 'nothing' })
    }
  }

  /** What is removed takes what lies below it along. */
  #forget(path: EntryPath): void {
    const before = this.#expected.get(path)
    this.#expected.delete(path)
    this.#links.delete(path)
    if (before?.type !== 'directory') return
    const below = `${path}/`
    for (const known of [this.#expected, this.#links])
      for (const other of known.keys()) if (other.startsWith(below)) known.delete(other)
  }

  #tell(path: EntryPath, found: TreeEntry | undefined, onDamage: (damage: TreeDamage) => void): void {
    const expected = this.#expected.get(path)
    if (expected === undefined) return
    if (found === undefined && expected.hasContent) return
    // As in moby, a user namespace gets its devices from the runtime.
    if (found === undefined && inUserNamespace() && (expected.type === 'char' || expected.type === 'block'))
      return
    const hasOwn = !this.#isOfWindows && !this.#linked.has(path)
    const told = this.#isOfWindows ? { ...expected, target: undefined } : expected
    for (const difference of differences(told, found, hasOwn))
      onDamage({ path: bytesOf(path).toString(), ...difference })
  }
}

function* differences(
  expected: Expected,
  found: TreeEntry | undefined,
  hasOwn: boolean,
): Generator<{ readonly expected: string; readonly found: string }> {
  const type = found === undefined ? 'nothing' : entryTypes.get(found.stat.mode & S.IFMT)
  if (found === undefined || type !== expected.type) {
    yield { expected: `a ${expected.type}`, found: type ?? 'something else' }
    return
  }
  if (expected.target !== undefined) {
    const target = readlinkat(found.directory, found.name)
    if (!target.equals(expected.target))
      yield { expected: `a link to ${expected.target.toString()}`, found: `to ${target.toString()}` }
  }
  const { stat } = found
  if (expected.type === 'char' || expected.type === 'block') yield* deviceDifferences(expected, stat)
  if (!hasOwn) return
  if (expected.uid !== stat.uid || expected.gid !== stat.gid)
    yield { expected: `owner ${expected.uid}:${expected.gid}`, found: `${stat.uid}:${stat.gid}` }
  const [mode, modeFound] = [expected.mode & modeBits, stat.mode & modeBits]
  if (expected.type !== 'symlink' && mode !== modeFound)
    yield { expected: `mode ${mode.toString(8)}`, found: modeFound.toString(8) }
}

function* deviceDifferences(
  { devMajor, devMinor }: Expected,
  { rdevMajor, rdevMinor }: Stat,
): Generator<{ readonly expected: string; readonly found: string }> {
  if (devMajor === rdevMajor && devMinor === rdevMinor) return
  yield { expected: `device ${devMajor}:${devMinor}`, found: `${rdevMajor}:${rdevMinor}` }
}

function directoriesOf(root: string): ParentDirectories {
  return new ParentDirectories(root, RESOLVE.IN_ROOT | RESOLVE.NO_MAGICLINKS)
}

function bytesOf(path: EntryPath): Buffer {
  return Buffer.from(path, 'latin1')
}
