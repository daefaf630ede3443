import { mkdirSync } from 'node:fs'
import path from 'node:path'
import { TreeWorkers } from '@graphdriver/archive'
import type { LayerId, TarStream } from '@graphdriver/core'
import { writeBytes } from '../byte-output.ts'
import { type Operand, operandOf, parted, Tree } from '../copying/place.ts'
import { changed } from '../copying/rename.ts'
import { UsageError } from '../failure.ts'
import type { Invocation } from '../invocation.ts'
import { imageNotFound } from '../not-found.ts'
import { Resources } from '../resources.ts'
import { Session } from '../session.ts'
import { findSubject, findWritable } from '../subject.ts'

export interface CpFlags {
  readonly archive?: boolean
}

/** Something to copy, as a tar in which all names begin with `name`, or with none for a directory's content. */
interface Source {
  readonly tar: TarStream
  readonly name: string | undefined
  readonly isDirectory: boolean
}

/**
 * `graphdriver cp SOURCE TARGET`: out of an image or a writable layer (`NAME:/PATH`), into a writable layer, or as a tar (`-`). As with
 * cp(1), what is there already as a directory takes what is copied into it.
 */
export async function cp(invocation: Invocation, from: string, to: string, flags: CpFlags): Promise<void> {
  const [source, target] = [operandOf(from), operandOf(to)]
  if (source.kind === 'layer' && target.kind === 'layer')
    throw new UsageError('cp copies between a layer and the outside; copy out first, then in')
  if (source.kind !== 'layer' && target.kind !== 'layer')
    throw new UsageError(`neither '${from}' nor '${to}' is in a layer; write NAME:/PATH`)
  await using open = new Resources()
  const workers = open.use(new TreeWorkers({ threads: 1 }))
  if (source.kind === 'layer') await copyOut(invocation, open, workers, source, target, flags)
  else if (target.kind === 'layer') await copyIn(invocation, open, workers, source, target, flags)
}

type InLayer = Extract<Operand, { readonly kind: 'layer' }>

async function copyOut(
  invocation: Invocation,
  open: Resources,
  workers: TreeWorkers,
  { word, path: file }: InLayer,
  target: Operand,
  { archive = false }: CpFlags,
): Promise<void> {
  const { signal, settings } = invocation
  // Who only reads leaves nothing mounted, however this ends.
  const reading = { ...invocation, settings: { ...settings, readOnly: true } }
  const session = await Session.openExisting(reading)
  if (session === undefined) throw imageNotFound(word)
  open.use(session)
  await session.holding(async (stores) => {
    const subject = await findSubject(word, stores)
    const id: LayerId | undefined =
      subject.kind === 'writable'
        ? subject.writable.mountId
        : subject.kind === 'layer'
          ? subject.layer.cacheId
          : stores.layers.layers().find(({ chainId }) => chainId === subject.image.chainId)?.cacheId
    if (id === undefined) throw imageNotFound(word)
    await using mount = await session.driver.get(id, { signal })
    using tree = Tree.ofLayer(mount.path, word)
    const source = packed(tree, file, workers, signal)
    if (target.kind === 'tar') await writeBytes(source.tar, undefined, signal)
    else {
      const owner = archive ? undefined : { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 }
      using local = Tree.local()
      await unpack(source, local, path.resolve(target.kind === 'local' ? target.path : '.'), {
        workers,
        signal,
        owner,
        mustBeDirectory: target.kind === 'local' && target.path.endsWith('/'),
      })
    }
  })
}

async function copyIn(
  invocation: Invocation,
  open: Resources,
  workers: TreeWorkers,
  source: Operand,
  { word, path: file }: InLayer,
  { archive = false }: CpFlags,
): Promise<void> {
  const { signal } = invocation
  using local = Tree.local()
  const packedSource: Source =
    source.kind === 'local'
      ? packed(local, absolute(source.path), workers, signal)
      : { tar: process.stdin as TarStream, name: undefined, isDirectory: true }
  const session = await Session.openExisting(invocation)
  if (session === undefined) throw imageNotFound(word)
  open.use(session)
  await session.requireNoDaemon()
  const writable = await session.reading((stores) => findWritable(word, stores))
  if (writable === undefined)
    throw new UsageError(
      `'${word}' is no writable layer, and nothing else can be changed; graphdriver mount makes one`,
    )
  await using mount = await session.driver.get(writable.mountId, { signal })
  using tree = Tree.ofLayer(mount.path, word)
  await unpack(packedSource, tree, file, {
    workers,
    signal,
    owner: archive || source.kind === 'tar' ? undefined : { uid: 0, gid: 0 },
    mustBeDirectory: file.endsWith('/'),
  })
}

/** With the `/.` at its end that says: what is in it. */
function absolute(file: string): string {
  const resolved = path.resolve(file)
  return /(?:^|\/)\.?$/.test(file) ? `${resolved}/.` : resolved
}

/** @throws GD_PATH_UNUSABLE */
function packed(tree: Tree, file: string, workers: TreeWorkers, signal: AbortSignal): Source {
  const { directory, name } = parted(file)
  using source = name === undefined ? undefined : tree.look(file, { follow: false })
  if (name !== undefined && source === undefined) throw tree.unusable(file, 'absent')
  const place = tree.directory(directory)
  async function* tar(): TarStream {
    using held = place
    yield* workers.pack(held.path, { only: name, signal })
  }
  return { tar: tar(), name, isDirectory: source?.isDirectory ?? true }
}

interface Unpacking {
  readonly workers: TreeWorkers
  readonly signal: AbortSignal
  readonly owner: { readonly uid: number; readonly gid: number } | undefined
  readonly mustBeDirectory: boolean
}

/** @throws GD_PATH_UNUSABLE, GD_ARCHIVE_INVALID */
async function unpack(
  { tar, name, isDirectory }: Source,
  tree: Tree,
  file: string,
  { workers, signal, owner, mustBeDirectory }: Unpacking,
): Promise<void> {
  using there = tree.look(file, { follow: true })
  const into = there?.isDirectory === true
  if (there === undefined && mustBeDirectory && !isDirectory) throw tree.unusable(file, 'absent')
  if (there !== undefined && !into && isDirectory) throw tree.unusable(file, 'not-a-directory')
  const { directory, name: last } = into ? { directory: file, name } : parted(trimmed(file))
  if (into && name !== undefined) requireSameKind(tree, path.posix.join(file, name), isDirectory)
  using place = tree.directory(directory)
  const apply = async (root: string, renamed: TarStream): Promise<void> => {
    await workers.apply(root, renamed, { whiteouts: 'keep', signal })
  }
  if (name !== undefined) {
    await apply(place.path, changed(tar, { name: { from: name, to: last ?? name }, owner }))
    return
  }
  if (!into && last !== undefined) mkdirSync(path.join(place.path, last), { mode: 0o755 })
  using content = into ? undefined : tree.directory(file)
  await apply((content ?? place).path, owner === undefined ? tar : changed(tar, { owner }))
}

/** A layer would have one take the place of the other, with all that was in it. @throws GD_PATH_UNUSABLE */
function requireSameKind(tree: Tree, file: string, isDirectory: boolean): void {
  using there = tree.look(file, { follow: false })
  if (there !== undefined && there.isDirectory !== isDirectory)
    throw tree.unusable(file, isDirectory ? 'not-a-directory' : 'is-a-directory')
}

function trimmed(file: string): string {
  return file.replace(/(?<=.)\/+$/, '')
}
