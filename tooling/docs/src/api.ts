/** The reference of every package's interface, from its docstrings. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { manifestAt, publicPackages, workspaceRoot } from '@tooling/lab'
import { Application, type TypeDocOptions } from 'typedoc'
import type { PluginOptions } from 'typedoc-plugin-markdown'

/** Of a package that has an interface; the command has none. */
export interface Reference {
  /** Such as `@graphdriver/core`. */
  readonly name: string
  /** Relative to the site. */
  readonly page: string
}

const options: Partial<TypeDocOptions & PluginOptions> = {
  plugin: ['typedoc-plugin-markdown'],
  tsconfig: path.join(import.meta.dirname, '../tsconfig.api.json'),
  // What is checked is checked by the compiler that the packages are built with.
  skipErrorChecking: true,
  excludeInternal: true,
  excludePrivate: true,
  disableSources: true,
  readme: 'none',
  logLevel: 'Error',
  outputFileStrategy: 'modules',
  entryFileName: 'index',
  hidePageHeader: true,
  hideBreadcrumbs: true,
  sanitizeComments: true,
}

/** @param site where the pages go, in `api/` */
export async function writeApi(site: string): Promise<readonly Reference[]> {
  const references: Reference[] = []
  for (const directory of publicPackages()) {
    const { name, exports = {} } = manifestAt(path.join(workspaceRoot, directory))
    const entryPoints = Object.keys(exports)
      .filter((entry) => entry !== './package.json')
      .map((entry) => sourceOf(directory, entry))
    if (entryPoints.length === 0) continue
    const out = path.join(site, 'api', path.basename(directory))
    const app = await Application.bootstrapWithPlugins({ ...options, name, entryPoints, out })
    const project = await app.convert()
    if (project === undefined) throw new Error(`${name}: its interface cannot be read`)
    await app.generateOutputs(project)
    for (const file of readdirSync(out, { recursive: true, encoding: 'utf8' }))
      if (file.endsWith('.md')) makeTame(path.join(out, file))
    references.push({ name, page: `api/${path.basename(directory)}/index.md` })
  }
  return references
}

/** `./overlayfs` is src/overlayfs/index.ts, `./trees` is src/trees.ts. */
function sourceOf(directory: string, entry: string): string {
  const place = path.join(workspaceRoot, directory, 'src', entry === '.' ? 'index' : entry.slice(2))
  return existsSync(`${place}.ts`) ? `${place}.ts` : path.join(place, 'index.ts')
}

/** Two braces would be a program to who makes the page. */
function makeTame(file: string): void {
  writeFileSync(file, readFileSync(file, 'utf8').replaceAll('{{', '&#123;&#123;'))
}
