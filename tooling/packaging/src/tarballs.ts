/** What would be published: every public package of the workspace, packed. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { execa } from 'execa'

export interface Manifest {
  readonly name: string
  readonly version: string
  readonly private?: boolean
  readonly dependencies?: Readonly<Record<string, string>>
  readonly exports?: Readonly<Record<string, unknown>>
}

export interface Tarball {
  /** As it is in the tarball: versions in the place of `workspace:`. */
  readonly manifest: Manifest
  readonly file: string
}

export const workspaceRoot: string = path.resolve(import.meta.dirname, '../../..')

/** Of the public packages, relative to the workspace. */
export function publicPackages(): readonly string[] {
  return ['packages', 'packages/drivers'].flatMap((shelf) =>
    readdirSync(path.join(workspaceRoot, shelf))
      .map((name) => path.join(shelf, name))
      .filter((directory) => existsSync(path.join(workspaceRoot, directory, 'package.json')))
      .filter((directory) => manifestAt(path.join(workspaceRoot, directory)).private !== true),
  )
}

export function manifestAt(directory: string): Manifest {
  return JSON.parse(readFileSync(path.join(directory, 'package.json'), 'utf8')) as Manifest
}

/** @param directory exists, and is where the tarballs go */
export async function packAll(directory: string): Promise<readonly Tarball[]> {
  const packed: Tarball[] = []
  for (const one of publicPackages()) {
    const cwd = path.join(workspaceRoot, one)
    const { stdout } = await execa('pnpm', ['pack', '--json', '--pack-destination', directory], { cwd })
    const { filename } = JSON.parse(stdout) as { readonly filename: string }
    const file = path.resolve(directory, filename)
    const { stdout: text } = await execa('tar', ['-xzOf', file, 'package/package.json'])
    packed.push({ manifest: JSON.parse(text) as Manifest, file })
  }
  return packed
}

/** @returns names in a tarball, without the `package/` before them */
export async function filesIn({ file }: Tarball): Promise<readonly string[]> {
  const { stdout } = await execa('tar', ['-tzf', file])
  return stdout.split('\n').map((name) => name.replace(/^package\//, ''))
}
