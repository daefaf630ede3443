/**
 * A directory from which Wine can run what is in this one: it takes a symbolic link for the directory itself, so that
 * packages do not find what they need beside themselves, as pnpm has it, but all of it above.
 */
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, realpath, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'

const repository = path.join(import.meta.dirname, '../../../../..')

export const ownPackages: Readonly<Record<string, string>> = Object.fromEntries(
  ['core', 'sys', 'archive', 'copying', 'quota', 'windows-layer', 'drivers/windows'].map((name) => [
    path.basename(name),
    path.join(repository, 'packages', name),
  ]),
)

export interface WineTree extends AsyncDisposable {
  /** Where this directory is in it. */
  readonly tests: string
  readonly scope: string
}

/** @param own our packages in it; the others are left to the caller */
export async function wineTree(own: Readonly<Record<string, string>> = ownPackages): Promise<WineTree> {
  const directory = await mkdtemp(path.join(tmpdir(), 'wine-tree-'))
  const modules = path.join(directory, 'node_modules')
  const scope = path.join(modules, '@graphdriver')
  await mkdir(scope, { recursive: true })
  const hoisted = path.join(repository, 'node_modules/.pnpm/node_modules')
  for (const name of await readdir(hoisted)) {
    if (!name.startsWith('@'))
      await symlink(await realpath(path.join(hoisted, name)), path.join(modules, name))
  }
  for (const name of ['koffi', 'execa']) {
    const target = path.join(modules, name)
    if (!existsSync(target))
      await symlink(await realpath(path.join(repository, 'packages/sys/node_modules', name)), target)
  }
  for (const [name, target] of Object.entries(own)) await symlink(target, path.join(scope, name))
  const tests = path.join(directory, 'hcs')
  await symlink(import.meta.dirname, tests)
  return { tests, scope, [Symbol.asyncDispose]: () => rm(directory, { recursive: true }) }
}
