import { mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { digestOf } from './digest.ts'
import { writeDockerArchive } from './docker-archive.ts'
import type { LabLayer } from './lab-image.ts'
import { type TarEntry, tarOf } from './plain-tar.ts'

/**
 * Writes a `docker save` archive of layers that a case made up, base first.
 *
 * @param layers what is in them, or their tars
 * @returns the path of the archive, in `directory`
 */
export async function generatedImage(
  directory: string,
  reference: string,
  layers: readonly (readonly TarEntry[] | Buffer)[],
  os = 'linux',
): Promise<string> {
  const scratch = path.join(directory, 'generated')
  await mkdir(scratch)
  const written: LabLayer[] = []
  for (const [index, entries] of layers.entries()) {
    const name = `layer-${String(index).padStart(3, '0')}`
    const tar = Buffer.isBuffer(entries) ? entries : tarOf(entries)
    const layer = { name, path: path.join(scratch, `${name}.tar`), diffId: digestOf(tar) }
    await writeFile(layer.path, tar)
    written.push(layer)
  }
  const archive = path.join(directory, 'generated.tar')
  await writeDockerArchive(archive, reference, written, path.join(scratch, 'archive'), os)
  await rm(scratch, { recursive: true })
  return archive
}
