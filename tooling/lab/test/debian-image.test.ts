import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { execa } from 'execa'
import { beforeAll, expect, test } from 'vitest'
import {
  type LabImage,
  debianImage,
  debianImageRequirements,
  generatedImage,
  need,
  temporaryDirectory,
} from '../src/index.ts'

const missing = need(...debianImageRequirements)
let image: LabImage | undefined

beforeAll(async () => {
  if (missing === undefined) image = await debianImage()
}, 600_000)

async function listing(layer: string): Promise<readonly string[]> {
  const { stdout } = await execa('tar', ['--list', '--verbose', `--file=${layer}`])
  return stdout.split('\n')
}

test('the image has the layers of its recipe, and they hash to their DiffIDs (root)', async ({ skip }) => {
  skip(missing !== undefined, missing)
  const layers = image?.layers ?? []
  expect(layers.map(({ name }) => name.slice(0, 2))).toEqual(['01', '02', '03', '04', '05', '06'])
  for (const { path, diffId } of layers) {
    const digest = createHash('sha256').update(readFileSync(path)).digest('hex')
    expect(`sha256:${digest}`).toBe(diffId)
  }
})

test('the layers hold devices, links, whiteouts and opaque directories (root)', async ({ skip }) => {
  skip(missing !== undefined, missing)
  const [, , special = '', , replaced = ''] = image?.layers.map(({ path }) => path) ?? []
  const things = await listing(special)
  for (const form of [/^c.* 511,262143 /, /^b.* 259,70000 /, /^p/, /^h/, /^l.* -> \/etc\/passwd$/]) {
    expect(things).toContainEqual(expect.stringMatching(form))
  }
  const hidden = await listing(replaced)
  for (const form of [/ etc\/\.wh\.debian_version$/, / usr\/share\/doc\/\.wh\.\.wh\.\.opq$/]) {
    expect(hidden).toContainEqual(expect.stringMatching(form))
  }
})

test('others read the image in each of its forms (root)', async ({ skip }) => {
  const reason = missing ?? need({ command: 'skopeo' })
  skip(reason !== undefined, reason)
  const { dockerArchive, oci } = image ?? (await debianImage())
  const sources = [
    `docker-archive:${dockerArchive}`,
    ...Object.values(oci).flatMap(({ layout, archive }) => [
      `oci:${layout}:latest`,
      `oci-archive:${archive}:latest`,
    ]),
  ]
  for (const source of sources) {
    const { stdout } = await execa('skopeo', ['inspect', '--config', source])
    const config: { readonly rootfs: { readonly diff_ids: readonly string[] } } = JSON.parse(stdout)
    expect(config.rootfs.diff_ids).toEqual(image?.layers.map(({ diffId }) => diffId))
  }
})

test('others read a generated image', async ({ skip }) => {
  const reason = need({ command: 'skopeo' })
  skip(reason !== undefined, reason)
  await using place = await temporaryDirectory()
  const layers = [
    [{ name: 'etc/' }, { name: 'etc/one', content: 'one\n' }],
    [{ name: 'etc/two', content: 'two\n' }],
  ]
  const archive = await generatedImage(place.path, 'generated:latest', layers)
  const { stdout } = await execa('skopeo', ['inspect', `docker-archive:${archive}`])
  const inspected: { readonly Layers: readonly string[] } = JSON.parse(stdout)
  expect(inspected.Layers).toHaveLength(2)
  const tar = await execa('tar', ['--extract', '--to-stdout', `--file=${archive}`, 'layer-001/layer.tar'], {
    encoding: 'buffer',
  })
  const content = await execa('tar', ['--extract', '--to-stdout', 'etc/two'], { input: tar.stdout })
  expect(content.stdout).toBe('two')
})
