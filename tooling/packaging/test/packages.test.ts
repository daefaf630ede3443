/** Every package as who installs it has it: packed, alone, by plain npm, on each Node that is promised. */
import { readFileSync } from 'node:fs'
import path from 'node:path'
import {
  filesystem,
  filesystemRequirements,
  manifestAt,
  need,
  publicPackages,
  workspaceRoot,
} from '@tooling/lab'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { installNodes, Project } from '../src/project.ts'
import { type ScopeRegistry, serveScope } from '../src/scope-registry.ts'
import { smokeOf } from '../src/smoke.ts'
import { filesIn, packAll, type Tarball } from '../src/tarballs.ts'

const missing = need({ command: 'npm' }, { command: 'tar' }, ...filesystemRequirements('tmpfs'))
const names = publicPackages().map((directory) => ({
  name: manifestAt(path.join(workspaceRoot, directory)).name,
  isDriver: directory.startsWith('packages/drivers/'),
}))

/** The code of a README. */
function examplesIn(markdown: string): readonly string[] {
  return [...markdown.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code ?? '')
}

describe.skipIf(missing !== undefined)(`packages (${missing ?? 'npm'})`, () => {
  let directory: Awaited<ReturnType<typeof filesystem>>
  let tarballs: ReadonlyMap<string, Tarball>
  let registry: ScopeRegistry
  let nodes: ReadonlyMap<string, string>

  beforeAll(async () => {
    // In memory: it is some gigabytes of small files.
    directory = await filesystem('tmpfs', { sizeMiB: 4096 })
    const packed = await packAll(directory.path)
    tarballs = new Map(packed.map((tarball) => [tarball.manifest.name, tarball]))
    registry = await serveScope(packed)
    nodes = await installNodes(path.join(directory.path, 'node'))
  }, 300_000)

  afterAll(async () => {
    await registry[Symbol.asyncDispose]()
    await directory[Symbol.asyncDispose]()
  })

  /** What comes with a package: its dependencies, theirs, and no more. */
  const scopeOf = (name: string, found: Set<string> = new Set()): ReadonlySet<string> => {
    if (found.has(name)) return found
    found.add(name)
    const { dependencies = {} } = tarballs.get(name)?.manifest ?? {}
    for (const below of Object.keys(dependencies))
      if (below.startsWith('@graphdriver/')) scopeOf(below, found)
    return found
  }

  test.each(names)(
    '$name installs alone, and works on Node 22, 24 and 26',
    async ({ name, isDriver }) => {
      const project = await Project.at(
        path.join(directory.path, name.replace('@graphdriver/', '')),
        registry.npmrc,
      )
      await project.install(name)
      const installed = await project.installed()
      expect(installed.filter((one) => one.startsWith('@graphdriver/'))).toEqual(
        [...scopeOf(name)].toSorted(),
      )
      for (const tool of ['typescript', 'vitest', 'tsup', '@tooling/lab'])
        expect(installed).not.toContain(tool)
      const isCommand = name === '@graphdriver/cli'
      await project.write('smoke.js', isCommand ? '' : smokeOf(name, isDriver))
      for (const [version, node] of nodes) {
        const ran = isCommand
          ? await project.run(node, 'node_modules/.bin/graphdriver', 'drivers')
          : await project.run(node, 'smoke.js')
        const wanted = isCommand ? /^DRIVER +SERVES +WHY\noverlay2 / : /^(works|says why not)$/
        expect([version, ran.exitCode, ran.all]).toEqual([version, 0, expect.stringMatching(wanted)])
      }
    },
    300_000,
  )

  test.each(names)('$name has its licence, its README, its types, and no tests', async ({ name }) => {
    const tarball = tarballs.get(name)
    if (tarball === undefined) throw new Error(`${name} was not packed`)
    const files = await filesIn(tarball)
    for (const file of ['LICENSE', 'README.md', 'package.json']) expect(files).toContain(file)
    expect(files.filter((file) => /(^|\/)tests?\/|tsconfig|vitest\.config/.test(file))).toEqual([])
    for (const version of Object.values(tarball.manifest.dependencies ?? {}))
      expect(version).not.toMatch(/^(workspace|catalog):/)
  })

  test('the types of all, and the examples of all READMEs, are right for TypeScript 5.9, 6 and 7', async () => {
    const project = await Project.at(path.join(directory.path, 'types'), registry.npmrc)
    const compilers = { 5.9: 'ts5', 6: 'ts6', 7: 'ts7' }
    await project.install(
      ...names.map(({ name }) => name),
      '@types/node@24',
      ...Object.entries(compilers).map(([version, alias]) => `${alias}@npm:typescript@${version}`),
    )
    const entries = [...tarballs.values()].flatMap(({ manifest }) =>
      Object.keys(manifest.exports ?? {})
        .filter((entry) => entry !== './package.json')
        .map((entry) => path.posix.join(manifest.name, entry)),
    )
    expect(entries.length).toBeGreaterThan(names.length)
    await project.write(
      'all.ts',
      entries
        .map((entry, at) => `import * as m${at} from '${entry}'\nexport const n${at}: object = m${at}\n`)
        .join(''),
    )
    const readmes = [...tarballs.values()].flatMap(({ manifest }) =>
      examplesIn(
        readFileSync(path.join(project.path, 'node_modules', manifest.name, 'README.md'), 'utf8'),
      ).map((text, at) => [`${manifest.name.replace('@graphdriver/', '')}-${at}.ts`, text] as const),
    )
    expect(readmes.length).toBeGreaterThan(10)
    // Each is a module, though it may import nothing.
    for (const [file, text] of readmes) await project.write(file, `${text}\nexport {}\n`)
    await project.write(
      'tsconfig.json',
      JSON.stringify({
        compilerOptions: {
          module: 'nodenext',
          target: 'es2023',
          lib: ['es2024', 'esnext.disposable', 'esnext.iterator'],
          types: ['node'],
          strict: true,
          noEmit: true,
          skipLibCheck: false,
        },
        files: ['all.ts', ...readmes.map(([file]) => file)],
      }),
    )
    for (const [version, alias] of Object.entries(compilers)) {
      const { exitCode, all } = await project.run('node', `node_modules/${alias}/bin/tsc`, '-p', '.')
      expect([version, exitCode, all]).toEqual([version, 0, ''])
    }
  }, 300_000)
})
