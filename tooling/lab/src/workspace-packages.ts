/** The packages of this workspace that are published. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

export const workspaceRoot: string = path.resolve(import.meta.dirname, '../../..')

/** Relative to the workspace. */
export function publicPackages(): readonly string[] {
  return ['packages', 'packages/drivers'].flatMap((shelf) =>
    readdirSync(path.join(workspaceRoot, shelf))
      .map((name) => path.join(shelf, name))
      .filter((directory) => existsSync(path.join(workspaceRoot, directory, 'package.json')))
      .filter((directory) => manifestAt(path.join(workspaceRoot, directory)).private !== true),
  )
}

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly description?: string
  readonly engines?: { readonly node?: string }
  readonly private?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly exports?: Readonly<Record<string, unknown>>
}

export function manifestAt(directory: string): Manifest {
  return JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8')) as Manifest
}
