import { readFile, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { debianImageRequirements, filesystem, generatedImage, need } from '@tooling/lab'
import { expect, test } from 'vitest'
import { graphdriver } from '../src/graphdriver.ts'
import { mountsBelow } from '../src/mounts.ts'
import { openStore } from '../src/open-store.ts'

const depth = 300
const missing = need(...debianImageRequirements)

/** Each layer leaves a file of its own, replaces the common one, and takes away what the layer before put in passing. */
function layers(): Parameters<typeof generatedImage>[2] {
  return Array.from({ length: depth }, (_, index) => [
    { name: 'common', content: `${index}\n` },
    { name: `passing-${index}`, content: 'soon gone\n' },
    ...(index === 0 ? [] : [{ name: `.wh.passing-${index - 1}` }]),
    { name: `own-${index}`, content: `${index}\n` },
  ])
}

test(`${depth} layers mount, read and take changes on overlay2 (root)`, async ({ skip }) => {
  skip(missing !== undefined, missing)
  await using own = await filesystem('ext4', { storage: 'memory' })
  const place = { root: path.join(own.path, 'root'), driver: 'overlay2' }
  {
    await using store = await openStore(place)
    const { maxDepth } = store.driver.capabilities
    skip(maxDepth <= depth, `needs a kernel whose overlayfs stacks more than ${maxDepth} layers`)
  }
  const archive = await generatedImage(own.path, 'deep:latest', layers())
  await graphdriver(place, 'load', archive)

  const mounted = (await graphdriver(place, 'mount', 'deep:latest', '--name', 'deep')).trim()
  const names = await readdir(mounted)
  expect(names.filter((name) => name.startsWith('own-'))).toHaveLength(depth)
  expect(names.filter((name) => name.startsWith('passing-'))).toEqual([`passing-${depth - 1}`])
  expect(await readFile(path.join(mounted, 'common'), 'utf8')).toBe(`${depth - 1}\n`)
  for (const index of Array.from({ length: depth }).keys()) {
    expect(await readFile(path.join(mounted, `own-${index}`), 'utf8')).toBe(`${index}\n`)
  }
  await writeFile(path.join(mounted, 'own-0'), 'changed\n')
  const changes = JSON.parse(await graphdriver(place, '--json', 'changes', 'deep'))
  expect(changes).toEqual({ changes: [{ path: '/own-0', kind: 'modify' }] })
  await graphdriver(place, 'unmount', 'deep')
  await graphdriver(place, 'rm', 'deep')
  expect(mountsBelow(own.path)).toEqual([])
})
