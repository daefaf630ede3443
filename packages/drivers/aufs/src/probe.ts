import type { DriverHost, Probe } from '@graphdriver/core'
import { examineHost } from './host.ts'
import type { AufsOptions } from './options.ts'

export async function probe({ home, options }: DriverHost<AufsOptions>): Promise<Probe> {
  const found = await examineHost(home, options)
  if (!('engine' in found)) return found
  const notes = [
    found.engine === 'kernel' ? 'mounted by aufs' : 'mounted by overlayfs: no aufs is used here',
    `layers on ${found.host.backing}`,
  ]
  return { supported: true, notes }
}
