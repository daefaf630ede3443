/** Who can mount stacks at a place. */
import { nearestDirectory, reapProbes } from '@graphdriver/sys'
import {
  examineOverlay,
  examineProgram,
  examineToRead,
  type OverlayHost,
  type OverlayRefusal,
} from '@graphdriver/sys/overlayfs'
import type { Overlay2Options } from './options.ts'

/** @param readOnly nothing may be written at the home, which is there */
export async function examineHost(
  home: string,
  options: Overlay2Options,
  readOnly = false,
): Promise<OverlayHost | OverlayRefusal> {
  if (readOnly) return examineToRead(home, (place) => examinePlace(place, options))
  reapProbes(home)
  return examinePlace(nearestDirectory(home), options)
}

/** The kernel where it can; a program where it cannot, or where the user says so. */
async function examinePlace(
  directory: string,
  { mountProgram }: Overlay2Options,
): Promise<OverlayHost | OverlayRefusal> {
  if (mountProgram !== undefined && mountProgram !== 'none') return examineProgram(directory, mountProgram)
  const host = await examineTwice(directory)
  // Where nothing can be written, no program helps.
  if (host.supported || host.code === 'not-writable' || mountProgram === 'none') return host
  const other = await examineProgram(directory)
  return other.supported ? other : host
}

/** A call that failed by chance is not to make layers be mounted by another program than ever before, and slower. */
async function examineTwice(directory: string): Promise<OverlayHost | OverlayRefusal> {
  const host = await examineOverlay(directory)
  return host.supported ? host : examineOverlay(directory)
}
