/**
 * A data root as a dockerd with aufs left it. No kernel of today has aufs, so a daemon with another driver writes the
 * records, and GNU tar the layers' directories: in aufs these are the layers' tars, extracted, markers of deletions and all.
 */
import { cp, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { LabImage } from '@tooling/lab'
import { execa } from 'execa'
import type { Place } from './graphdriver.ts'

interface Recorded {
  readonly cacheId: string
  readonly diffId: string
  readonly parent: string | undefined
}

/** Makes of a root of dockerd's, which has the image, one of aufs beside it. */
export async function aufsRoot(from: Place, image: LabImage, root: string): Promise<Place> {
  const records = path.join(root, 'image', 'aufs')
  await cp(path.join(from.root, 'image', from.driver), records, { recursive: true })
  const layers = await readRecords(path.join(records, 'layerdb', 'sha256'))
  for (const [chain, { cacheId, diffId }] of layers) {
    const tar = image.layers.find((layer) => layer.diffId === diffId)?.path
    if (tar === undefined) throw new Error(`${diffId} is no layer of the image`)
    const at = (kind: string): string => path.join(root, 'aufs', kind, cacheId)
    for (const kind of ['diff', 'mnt']) await mkdir(at(kind), { recursive: true, mode: 0o755 })
    await mkdir(path.dirname(at('layers')), { recursive: true })
    await writeFile(
      at('layers'),
      below(layers, chain)
        .map((id) => `${id}\n`)
        .join(''),
    )
    const how = ['--numeric-owner', '--preserve-permissions', '--xattrs', '--xattrs-include=*']
    await execa('tar', ['--extract', ...how, `--directory=${at('diff')}`, `--file=${tar}`])
  }
  return { root, driver: 'aufs' }
}

/** By ChainID, without its algorithm. */
async function readRecords(directory: string): Promise<ReadonlyMap<string, Recorded>> {
  const records = new Map<string, Recorded>()
  for (const chain of await readdir(directory)) {
    const read = (name: string): Promise<string> => readFile(path.join(directory, chain, name), 'utf8')
    const parent = await read('parent').catch(() => undefined)
    records.set(chain, {
      cacheId: await read('cache-id'),
      diffId: await read('diff'),
      parent: parent?.replace('sha256:', ''),
    })
  }
  return records
}

/** The cache ids below a layer, nearest first. */
function below(layers: ReadonlyMap<string, Recorded>, chain: string): readonly string[] {
  const ids: string[] = []
  for (let next = layers.get(chain)?.parent; next !== undefined; next = layers.get(next)?.parent)
    ids.push(layers.get(next)?.cacheId ?? '')
  return ids
}
