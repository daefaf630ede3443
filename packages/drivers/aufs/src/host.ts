/** Who can mount layers at a place. */
import { nearestDirectory, reapProbes } from '@graphdriver/sys'
import {
  examineOverlay,
  examineToRead,
  type OverlayHost,
  type OverlayRefusal,
} from '@graphdriver/sys/overlayfs'
import { examineKernel, type KernelHost, type KernelRefusal } from './kernel/host.ts'
import type { AufsOptions } from './options.ts'

export type AufsHost =
  | { readonly engine: 'kernel'; readonly host: KernelHost }
  | { readonly engine: 'overlay'; readonly host: OverlayHost }

/** By overlayfs, also where there is aufs: it mounts without a place of its own at the home. */
export async function examineHostToRead(home: string): Promise<AufsHost | OverlayRefusal> {
  const host = await examineToRead(home)
  return host.supported ? { engine: 'overlay', host } : host
}

/** aufs itself where there is a choice: it is what wrote the layers. */
export async function examineHost(
  home: string,
  { engine }: AufsOptions,
): Promise<AufsHost | KernelRefusal | OverlayRefusal> {
  reapProbes(home)
  const directory = nearestDirectory(home)
  if (engine !== 'overlay') {
    const host = await examineKernel(directory)
    if (host.supported) return { engine: 'kernel', host }
    if (engine === 'kernel') return host
  }
  const host = await examineOverlay(directory)
  return host.supported ? { engine: 'overlay', host } : host
}
