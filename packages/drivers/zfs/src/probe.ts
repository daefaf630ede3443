import type { DriverHost, Probe } from '@graphdriver/core'
import { examineHost } from './host.ts'
import type { ZfsOptions } from './options.ts'

/** Looks; a dataset is made when the home is opened. */
export async function probe({ root, options }: DriverHost<ZfsOptions>): Promise<Probe> {
  const found = examineHost(root, options)
  return found.supported
    ? { supported: true, notes: [`layers beside or below the dataset ${found.dataset}`] }
    : found
}
