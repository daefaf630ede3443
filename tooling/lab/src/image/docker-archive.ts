/** What `docker save` writes: the configuration, a directory per layer, and a manifest that names them. */
import { link, mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { command } from '@graphdriver/core/conformance'
import { imageConfig } from './config.ts'
import { digestOf } from './digest.ts'
import type { LabLayer } from './lab-image.ts'

/** Writes the archive; `scratch` is a directory that does not exist yet, on the filesystem of the layers' tars. */
export async function writeDockerArchive(
  archive: string,
  reference: string,
  layers: readonly LabLayer[],
  scratch: string,
  os = 'linux',
): Promise<void> {
  await mkdir(scratch)
  const config = imageConfig(layers, os)
  const configName = `${digestOf(config).slice('sha256:'.length)}.json`
  const names = layers.map(({ name }) => `${name}/layer.tar`)
  await writeFile(path.join(scratch, configName), config)
  for (const { name, path: tar } of layers) {
    await mkdir(path.join(scratch, name))
    await link(tar, path.join(scratch, name, 'layer.tar'))
  }
  const manifest = [{ Config: configName, RepoTags: [reference], Layers: names }]
  await writeFile(path.join(scratch, 'manifest.json'), JSON.stringify(manifest))
  // In Docker's archives the manifest is not first: a reader has to look for it.
  await command('tar', [
    '--create',
    '--hard-dereference',
    `--file=${archive}`,
    `--directory=${scratch}`,
    '--',
    configName,
    ...names,
    'manifest.json',
  ])
}
