/** Devices for pools, of files, that can be taken away and brought back. */
import { closeSync, openSync, truncateSync } from 'node:fs'
import path from 'node:path'
import { attachLoop } from '@graphdriver/sys'
import {
  activateDevice,
  deviceNode,
  loadTable,
  removeDevice,
  resumeDevice,
  suspendDevice,
  type Target,
} from '@graphdriver/sys/devicemapper'
import { freshDirectory } from './place.ts'

export interface Slices extends Disposable {
  readonly options: { readonly 'dm.datadev': string; readonly 'dm.metadatadev': string }
  readonly names: readonly [metadata: string, data: string]
  /** From now on every read and write of the metadata fails. */
  breakMetadata(): void
  mend(): void
}

let made = 0
const mebibyte = 1024 * 1024

export function makeSlices(mebibytes: number): Slices {
  const directory = freshDirectory()
  const number = made++
  const take = (of: string, size: number) => {
    const file = path.join(directory, of)
    closeSync(openSync(file, 'w'))
    truncateSync(file, size * mebibyte)
    const loop = attachLoop(file)
    const name = `slice-${number}-${of}`
    const table: Target = {
      start: 0,
      length: (size * mebibyte) / 512,
      type: 'linear',
      params: `${loop.path} 0`,
    }
    return { name, loop, table, node: deviceNode(activateDevice(name, [table])) }
  }
  const [metadata, data] = [take('metadata', 8), take('data', mebibytes)]
  const put = (table: Target): void => {
    loadTable(metadata.name, [table])
    suspendDevice(metadata.name)
    resumeDevice(metadata.name)
  }
  return {
    options: { 'dm.datadev': data.node, 'dm.metadatadev': metadata.node },
    names: [metadata.name, data.name],
    breakMetadata: () => put({ ...metadata.table, type: 'error', params: '' }),
    mend: () => put(metadata.table),
    [Symbol.dispose]() {
      for (const { name, loop } of [metadata, data]) {
        removeDevice(name, { deferred: true })
        loop.detach()
      }
    },
  }
}
