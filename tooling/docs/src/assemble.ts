/** The pages of the site, from all over the repository. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { manifestAt, publicPackages, workspaceRoot } from '@tooling/lab'
import { type Reference, writeApi } from './api.ts'
import { pageOf, relinked } from './site-paths.ts'

interface Item {
  readonly text: string
  readonly link: string
}

interface Section extends Pick<Item, 'text'> {
  readonly items: readonly Item[]
  readonly collapsed?: boolean
}

/** What the guide's pages are called beside the text, in their order. */
const guide = [
  'getting-started',
  'choosing-a-driver',
  'registries',
  'migrating',
  'operating',
  'namespaces',
  'engines',
  'in-your-program',
]

/**
 * @param site is emptied
 * @returns every page, relative to the site
 */
export async function assemble(site: string): Promise<readonly string[]> {
  rmSync(site, { recursive: true, force: true })
  mkdirSync(path.join(site, '.vitepress'), { recursive: true })
  const pages: string[] = []
  const add = (page: string, text: string): void => {
    mkdirSync(path.dirname(path.join(site, page)), { recursive: true })
    writeFileSync(path.join(site, page), text)
    pages.push(page)
  }
  const addFile = (file: string): Item => {
    const page = pageOf(file)
    if (page === undefined) throw new Error(`${file} has no page`)
    const text = relinked(readFileSync(path.join(workspaceRoot, file), 'utf8'), file)
    add(page, text)
    return { text: titleOf(text), link: linkOf(page) }
  }

  const docs = readdirSync(path.join(workspaceRoot, 'docs')).filter((name) => name.endsWith('.md'))
  for (const name of readdirSync(path.join(workspaceRoot, 'docs')))
    if (name.endsWith('.svg')) cpSync(path.join(workspaceRoot, 'docs', name), path.join(site, name))
  const references = await writeApi(site)
  const packages = publicPackages().map((directory) => addFile(path.join(directory, 'README.md')))
  add('packages/index.md', packageList())
  add('api/index.md', apiList(references))
  add('index.md', home)
  const sections: readonly Section[] = [
    { text: 'Guide', items: guide.map((name) => addFile(`docs/guide/${name}.md`)) },
    { text: 'Evidence', items: docs.map((name) => addFile(`docs/${name}`)) },
    { text: 'Examples', items: [addFile('examples/README.md')] },
    { text: 'Packages', items: packages, collapsed: true },
    {
      text: 'Interfaces',
      items: references.map(({ name, page }) => ({ text: name, link: linkOf(page) })),
      collapsed: true,
    },
  ]
  writeFileSync(path.join(site, '.vitepress/config.json'), JSON.stringify(configuration(sections)))
  writeFileSync(
    path.join(site, '.vitepress/config.mjs'),
    "import { readFileSync } from 'node:fs'\nexport default JSON.parse(readFileSync(new URL('config.json', import.meta.url), 'utf8'))\n",
  )
  const forgotten = readdirSync(path.join(workspaceRoot, 'docs/guide')).filter(
    (name) => !guide.includes(path.basename(name, '.md')),
  )
  if (forgotten.length > 0) throw new Error(`nothing leads to ${forgotten.join(', ')}`)
  return pages
}

function configuration(sidebar: readonly Section[]): object {
  return {
    title: 'graphdriver',
    description: 'Container image layers for Node: storage drivers, layer store, images, and a command',
    // Docstrings and reports write < and > and mean nothing by them.
    markdown: { html: false },
    cleanUrls: true,
    themeConfig: {
      nav: [
        { text: 'Guide', link: '/guide/getting-started' },
        { text: 'Drivers compared', link: '/drivers' },
        { text: 'Packages', link: '/packages/' },
        { text: 'Interfaces', link: '/api/' },
      ],
      sidebar,
      search: { provider: 'local' },
      outline: [2, 3],
    },
  }
}

function titleOf(text: string): string {
  return /^# (.+)$/m.exec(text)?.[1] ?? 'Untitled'
}

function linkOf(page: string): string {
  return `/${page.replace(/(?:index)?\.md$/, '')}`
}

function packageList(): string {
  const rows = publicPackages().map((directory) => {
    const { name, description = '' } = manifestAt(path.join(workspaceRoot, directory))
    return `| [${name}](./${path.basename(directory)}.md) | ${description} |`
  })
  return `# Packages\n\nEach is published by itself, and brings only what it needs.\n\n| package | what it is |\n| --- | --- |\n${rows.join('\n')}\n`
}

function apiList(references: readonly Reference[]): string {
  const lines = references.map(({ name, page }) => `- [${name}](./${page.slice('api/'.length)})`)
  return `# Interfaces\n\nEvery exported name, from its docstring.\n\n${lines.join('\n')}\n`
}

const home = `# graphdriver

Container images are stacks of layers. graphdriver keeps those layers and stacks them, copy-on-write, into root filesystems, for Node
programs and from the command line: Docker's graphdriver subsystem, rebuilt as independently published npm packages.

- [Getting started](./guide/getting-started.md): the command, in ten minutes
- [Choosing a driver](./guide/choosing-a-driver.md), and [all of them compared](./drivers.md)
- [In your program](./guide/in-your-program.md): one driver, or images with everything
- [Performance](./performance.md) beside dockerd, containerd, containers/storage, umoci and tar, [reliability](./reliability.md), and the
  [threat model](./threat-model.md)
- [Write a driver](./write-a-driver.md) in an afternoon
`
