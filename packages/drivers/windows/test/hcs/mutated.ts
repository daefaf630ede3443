/** The built packages with one text in the place of another, for Wine to run the cases on. */
import { cp, glob, mkdir, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { HcsMutant } from './mutants.ts'
import { ownPackages, wineTree } from './tree.ts'

export interface MutatedCopy extends AsyncDisposable {
  readonly program: string
}

/** @throws Error where the text is nowhere, or more than once */
export async function mutated({ does, package: where, from, to }: HcsMutant): Promise<MutatedCopy> {
  const { sys = '', windows = '', ...linked } = ownPackages
  const tree = await wineTree(linked)
  for (const [name, source] of Object.entries({ sys, windows })) {
    const target = path.join(tree.scope, name)
    await mkdir(target)
    for (const part of ['dist', 'package.json'])
      await cp(path.join(source, part), path.join(target, part), { recursive: true })
  }
  await replace(path.join(tree.scope, path.basename(where), 'dist'), does, from, to)
  return {
    program: path.join(tree.tests, 'main.ts'),
    [Symbol.asyncDispose]: () => tree[Symbol.asyncDispose](),
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
