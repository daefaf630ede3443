/**
 * `npm run readmes` writes every package's README from readme.template.md: what is its own stays, what all have in common is written
 * anew. With `--check` nothing is written, and the exit code is 1 where something would be.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { type Manifest, manifestAt, publicPackages, workspaceRoot } from '@tooling/lab'
import { figuresOf } from './figures.ts'

const template = readFileSync(path.join(import.meta.dirname, '../readme.template.md'), 'utf8')
const shared = '<!-- shared:'

/** As tooling/packaging tries them. */
const tried = '22, 24 and 26'
const typescript = '5.9 to 7, whose types are in the package'

/** What runs elsewhere than on Linux. */
const platforms: Readonly<Record<string, string>> = {
  core: 'any; the conformance suite on Linux, and under Wine',
  'windows-layer': 'any',
  windows: 'Linux with ntfs-3g; Windows (seen on a double of its layer API only)',
}
const linux = 'Linux on x64 and arm64, glibc or musl; it can be imported anywhere'

/** @returns the README as it has to be */
export function readmeOf(directory: string): string {
  const manifest = manifestAt(path.join(workspaceRoot, directory))
  const base = path.basename(directory)
  const root = path.relative(path.join(workspaceRoot, directory), workspaceRoot)
  const docs = `${root}/docs`
  const slots: Readonly<Record<string, string>> = {
    name: manifest.name,
    own: ownPart(readFileSync(path.join(workspaceRoot, directory, 'README.md'), 'utf8')),
    figures: figuresOf(base, docs),
    node: `${manifest.engines?.node?.replace('>=', '') ?? 'any'} or newer`,
    tried,
    typescript: base === 'cli' ? 'none: it is a command' : typescript,
    platforms: platforms[base] ?? linux,
    brings: brings(manifest),
    more: `The [guide](${docs}/guide/getting-started.md), the [other packages](${root}/README.md#the-packages), [how to report a hole](${root}/SECURITY.md). Apache-2.0.`,
  }
  const text = template.replaceAll(/\{\{(\w+)\}\}/g, (whole, slot: string) => slots[slot] ?? whole)
  return `${text.replaceAll(/\n{3,}/g, '\n\n').trimEnd()}\n`
}

/** Without the title, and up to what is shared. */
function ownPart(readme: string): string {
  const [own = ''] = readme.split(shared)
  return own.replace(/^# .*\n/, '').trim()
}

function brings({ dependencies = {} }: Manifest): string {
  const names = Object.keys(dependencies).map((name) => `\`${name}\``)
  return names.length === 0 ? 'nothing' : names.join(', ')
}

/** @returns the READMEs that are not as they have to be */
export function outdatedReadmes(): readonly string[] {
  return publicPackages().filter((directory) => {
    const found = readFileSync(path.join(workspaceRoot, directory, 'README.md'), 'utf8')
    return plain(found) !== plain(readmeOf(directory))
  })
}

/** Without what the formatter puts into tables. */
function plain(text: string): string {
  return text.replaceAll(/^\|.*$/gm, (line) => line.replaceAll(/ +/g, ' ').replaceAll(/-{3,}/g, '---'))
}

if (import.meta.main) {
  const outdated = outdatedReadmes()
  if (process.argv.includes('--check')) {
    for (const directory of outdated)
      console.error(`${directory}/README.md is old: npm run readmes writes it`)
    process.exitCode = outdated.length === 0 ? 0 : 1
  } else
    for (const directory of outdated)
      writeFileSync(path.join(workspaceRoot, directory, 'README.md'), readmeOf(directory))
}
