import { createHash } from 'node:crypto'
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import path from 'node:path'
import { temporaryDirectory } from '@tooling/lab'
import { demoImage, succeed } from './graphdriver.ts'

export interface DataRoot extends AsyncDisposable {
  readonly path: string
  /** A scratch directory beside it. */
  readonly scratch: string
}

/** An empty place for one case. Removing it fails if something in it is still mounted. */
export async function emptyRoot(): Promise<DataRoot> {
  const directory = await temporaryDirectory()
  return {
    path: path.join(directory.path, 'root'),
    scratch: directory.path,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}

/** One with the demo image in it. */
export async function demoRoot(): Promise<DataRoot> {
  const root = await emptyRoot()
  await succeed(['--root', root.path, 'load', demoImage])
  return root
}

/** What a data root holds, in a form that is equal when it is. Who holds the lock, and what runs here, is no content. */
export function contentOf(root: string): readonly string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => !/^\.graphdriver\/(?:lock|runtimes)/.test(name))
    .sort()
    .map((name) => `${name} ${describe(path.join(root, name))}`)
}

function describe(file: string): string {
  const stats = lstatSync(file)
  const head = `${stats.mode.toString(8)} ${stats.uid}:${stats.gid}`
  if (stats.isSymbolicLink()) return `${head} -> ${readlinkSync(file)}`
  if (!stats.isFile()) return head
  return `${head} ${createHash('sha256').update(readFileSync(file)).digest('hex')}`
}
