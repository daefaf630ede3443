/** A copy of the built packages with one text in the place of another, for Wine to run the cases on. */
import { cp, glob, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { HcsMutant } from './mutants.ts'

const packages = path.join(import.meta.dirname, '../../../..')
const copied = ['sys', 'drivers/windows'] as const

export interface MutatedCopy extends AsyncDisposable {
  readonly program: string
}

/** @throws Error where the text is nowhere, or more than once */
export async function mutated({ does, package: where, from, to }: HcsMutant): Promise<MutatedCopy> {
  const directory = await mkdtemp(path.join(tmpdir(), 'mutant-'))
  const scope = path.join(directory, 'node_modules', '@graphdriver')
  await mkdir(scope, { recursive: true })
  for (const name of copied) {
    const target = path.join(scope, path.basename(name))
    await mkdir(target)
    for (const part of ['dist', 'package.json'])
      await cp(path.join(packages, name, part), path.join(target, part), { recursive: true })
  }
  for (const name of ['core', 'archive', 'copying', 'quota', 'windows-layer'])
    await symlink(path.join(packages, name), path.join(scope, name))
  await symlink(
    path.join(packages, 'sys', 'node_modules', 'koffi'),
    path.join(directory, 'node_modules', 'koffi'),
  )
  await symlink(
    path.join(packages, 'sys', 'node_modules', 'execa'),
    path.join(directory, 'node_modules', 'execa'),
  )
  await cp(import.meta.dirname, path.join(directory, 'hcs'), { recursive: true })
  await replace(path.join(scope, path.basename(where), 'dist'), does, from, to)
  return {
    program: path.join(directory, 'hcs', 'main.ts'),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  }
}

async function replace(directory: string, does: string, from: string | RegExp, to: string): Promise<void> {
  let places = 0
  for await (const name of glob('**/*.js', { cwd: directory })) {
    const file = path.join(directory, name)
    const text = await readFile(file, 'utf8')
    const found = text.split(from).length - 1
    if (found === 0) continue
    places += found
    await writeFile(
      file,
      text.replace(from, () => to),
    )
  }
  if (places !== 1) throw new Error(`what a driver that ${does} has differently is in ${places} places`)
}
