/** What would be published: every public package of the workspace, packed. */
import path from 'node:path'
import { type Manifest, publicPackages, workspaceRoot } from '@tooling/lab'
import { execa } from 'execa'

export interface Tarball {
  /** As it is in the tarball: versions in the place of `workspace:`. */
  readonly manifest: Manifest
  readonly file: string
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
