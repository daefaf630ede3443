/**
 * Driver layers that a repair has replaced. They are kept, and no orphans, until somebody says that they may go: what was
 * damaged may still be the only copy of something.
 *
 * `layerdb/.graphdriver-quarantine/<time>-<random>/layers` has a line for each: what it was, and the driver's name of it.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { asLayerId, type LayerId } from '@graphdriver/core'
import { namesIn, syncDirectory } from '@graphdriver/sys'
import type { Layerdb } from './layerdb.ts'
import { readRecordFile, writeRecordFile } from './record-file.ts'

const shelfName = '.graphdriver-quarantine'
const fileName = 'layers'

export interface Quarantined {
  readonly directory: string
  /** Each after those that stand on it. */
  readonly layers: readonly LayerId[]
  /** The same by what they were: a ChainID, `mount:<name>`, `init:<name>`. */
  readonly byWhat: ReadonlyMap<string, LayerId>
}

/** Durable when it returns. @param layers what each was, and its name, each after those that stand on it */
export async function quarantine(
  { directory }: Layerdb,
  layers: readonly (readonly [what: string, id: LayerId])[],
): Promise<string> {
  const shelf = path.join(directory, shelfName)
  await mkdir(shelf, { recursive: true, mode: 0o700 })
  const name = `${new Date().toISOString().replaceAll(/[:.]/g, '-')}-${randomBytes(4).toString('hex')}`
  const [made, target] = [path.join(shelf, `.${name}`), path.join(shelf, name)]
  await mkdir(made, { mode: 0o700 })
  await writeRecordFile(made, fileName, layers.map((layer) => `${layer.join(' ')}\n`).join(''))
  await rename(made, target)
  for (const changed of [shelf, directory]) await syncDirectory(changed)
  return target
}

export async function readQuarantine({ directory }: Layerdb): Promise<readonly Quarantined[]> {
  const shelf = path.join(directory, shelfName)
  const found: Quarantined[] = []
  for (const name of await namesIn(shelf)) {
    if (name.startsWith('.')) continue
    const lines = (await readRecordFile(path.join(shelf, name), fileName))?.split('\n') ?? []
    const byWhat = new Map<string, LayerId>()
    for (const line of lines) {
      const [what = '', word = ''] = line.split(' ')
      const id = asLayerId(word)
      if (id !== undefined) byWhat.set(what, id)
    }
    found.push({ directory: path.join(shelf, name), layers: [...byWhat.values()], byWhat })
  }
  return found
}

/** Of what is in it nothing may be there any more. */
export async function endQuarantine({ directory }: Quarantined): Promise<void> {
  await rm(directory, { recursive: true })
}
