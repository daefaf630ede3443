/** The site is made of what is in the repository, and no link in it is dead: VitePress ends when there is one. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { publicPackages, temporaryDirectory } from '@tooling/lab'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { relinked } from '../src/site-paths.ts'

test('links between files are those between pages, and others lead to the repository', () => {
  const at = (text: string): string => relinked(text, 'packages/drivers/overlay2/README.md')
  expect(at('[a](../../quota)')).toBe('[a](./quota.md)')
  expect(at('[a](../vfs#what-to-know)')).toBe('[a](./vfs.md#what-to-know)')
  expect(at('[a](../../../docs/performance.md)')).toBe('[a](../performance.md)')
  expect(at('[a](https://example.org/) [b](#here)')).toBe('[a](https://example.org/) [b](#here)')
  expect(at('[a](src/driver.ts)')).toBe(
    '[a](https://github.com/graphdriver/graphdriver/blob/main/packages/drivers/overlay2/src/driver.ts)',
  )
  expect(relinked('[a](../examples/third-party-driver)', 'docs/write-a-driver.md')).toContain(
    '/blob/main/examples/',
  )
})

test('the site has a page for everything', async () => {
  await using directory = await temporaryDirectory()
  const out = path.join(directory.path, 'site')
  const program = path.resolve(import.meta.dirname, '../src/site.ts')
  const { stdout } = await execa(process.execPath, [program, out], { all: true })
  expect(stdout).toContain('pages and the interfaces are in')
  const names = publicPackages().map((one) => path.basename(one))
  for (const name of names)
    expect([name, existsSync(path.join(out, `packages/${name}.html`))]).toEqual([name, true])
  for (const name of names.filter((one) => one !== 'cli'))
    expect([name, existsSync(path.join(out, `api/${name}/index.html`))]).toEqual([name, true])
  for (const page of [
    'guide/getting-started',
    'performance',
    'reliability',
    'threat-model',
    'write-a-driver',
    'drivers',
  ])
    expect([page, existsSync(path.join(out, `${page}.html`))]).toEqual([page, true])
  expect(readFileSync(path.join(out, 'api/core/index-1.html'), 'utf8')).toContain('GraphDriverError')
}, 300_000)

test('a dead link stops it', async () => {
  await using directory = await temporaryDirectory()
  mkdirSync(path.join(directory.path, '.vitepress'))
  writeFileSync(path.join(directory.path, 'index.md'), '# Here\n\n[nowhere](./nowhere.md)\n')
  const { build } = await import('vitepress')
  await expect(build(directory.path, { outDir: path.join(directory.path, 'out') })).rejects.toThrow(
    'dead link',
  )
}, 60_000)
