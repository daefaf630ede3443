/** An image of Windows on a Linux: loaded, looked into, changed, and given back to the byte. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { gunzipSync } from 'node:zlib'
import { filesystem, filesystemRequirements, need } from '@tooling/lab'
import { execa } from 'execa'
import { expect, test } from 'vitest'
import { graphdriver, type Place } from '../src/graphdriver.ts'

const missing = need(...filesystemRequirements('ntfs'))
const golden = new URL('../../../packages/windows-layer/test/golden/', import.meta.url)
/** As hcsshim wrote them, the lowest first. */
const layers = ['hcsshim-child.tar.gz', 'hcsshim-sandbox.tar.gz'].map((name) =>
  gunzipSync(readFileSync(new URL(name, golden))),
)

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** As `docker save` writes it. @returns the archive, in a directory */
async function imageArchive(directory: string): Promise<string> {
  const config = {
    architecture: 'amd64',
    os: 'windows',
    'os.version': '10.0.20348.1',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map((layer) => `sha256:${sha256(layer)}`) },
    history: layers.map(() => ({ created: '2024-01-01T00:00:00Z' })),
  }
  const files = layers.map((_, index) => `${index}.tar`)
  const manifest = [{ Config: 'config.json', RepoTags: ['windows/test:1'], Layers: files }]
  const write = (name: string, content: string | Buffer): void =>
    writeFileSync(path.join(directory, name), content)
  write('config.json', JSON.stringify(config))
  write('manifest.json', JSON.stringify(manifest))
  for (const [index, layer] of layers.entries()) write(`${index}.tar`, layer)
  const archive = path.join(directory, 'image.tar')
  await execa('tar', [
    '--create',
    '--file',
    archive,
    '--directory',
    directory,
    ...files,
    'config.json',
    'manifest.json',
  ])
  return archive
}

test('an image of Windows is kept on NTFS and comes out to the byte (as root)', async ({ skip }) => {
  skip(missing !== undefined, missing)
  await using volume = await filesystem('ntfs', { sizeMiB: 1024, storage: 'memory' })
  const place: Place = { root: path.join(volume.path, 'root'), driver: 'windows' }
  const archive = await imageArchive(volume.path)
  await graphdriver(place, 'load', archive)
  const listed: { readonly layers: readonly { readonly chainId: string }[] } = JSON.parse(
    await graphdriver(place, '--json', 'layers', 'windows/test:1'),
  )
  const [upper = '', lower = ''] = listed.layers.map(({ chainId }) => chainId)
  for (const [index, chainId] of [lower, upper].entries()) {
    const file = path.join(volume.path, `out-${index}.tar`)
    await graphdriver(place, 'diff', '--output', file, chainId)
    expect(sha256(readFileSync(file))).toBe(sha256(layers[index] ?? Buffer.alloc(0)))
  }

  expect(await graphdriver(place, 'check', '--full')).toContain('nothing is damaged')
  const [text = ''] = readdirSync(place.root, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('Files/app/a.txt'),
  )
  const before = readFileSync(path.join(place.root, text))
  writeFileSync(path.join(place.root, text), 'x'.repeat(before.length))
  await expect(graphdriver(place, 'check', '--full')).rejects.toThrow(/a\.txt/)
  writeFileSync(path.join(place.root, text), before)
  expect(await graphdriver(place, 'check', '--full')).toContain('nothing is damaged')

  const mounted = await graphdriver(place, 'mount', 'windows/test:1', '--name', 'box')
  expect(readFileSync(`${mounted}/Files/app/a.txt:ads1`)).toHaveLength(16)
  writeFileSync(`${mounted}/Files/app/added.txt`, 'added')
  await graphdriver(place, 'unmount', 'box')
  expect(await graphdriver(place, 'changes', 'box')).toContain('A /Files/app/added.txt')
  const changes = path.join(volume.path, 'changes.tar')
  await graphdriver(place, 'diff', '--output', changes, 'box')
  expect(readFileSync(changes).toString('latin1')).toMatch(/MSWINDOWS\.rawsd[\s\S]*Files\/app\/added\.txt/)
})

test('on another driver it is refused, and which platforms there are is said (as root)', async ({ skip }) => {
  skip(missing !== undefined, missing)
  await using volume = await filesystem('tmpfs', { sizeMiB: 64 })
  const place: Place = { root: path.join(volume.path, 'root'), driver: 'vfs' }
  const archive = await imageArchive(volume.path)
  await expect(graphdriver(place, 'load', archive)).rejects.toThrow(/operating system 'windows'/)
  await expect(graphdriver(place, 'load', '--platform', 'nonsense', archive)).rejects.toThrow(/linux\/amd64/)
})
