/** Who can mount stacks at a place. */
import { nearestDirectory, reapProbes } from '@graphdriver/sys'
import {
  discardOverlayProbe,
  examineOverlay,
  examineProgram,
  type OverlayHost,
  type OverlayRefusal,
} from '@graphdriver/sys/overlayfs'
import type { Overlay2Options } from './options.ts'

/** The kernel where it can; a program where it cannot, or where the user says so. */
export async function examineHost(
  home: string,
  { mountProgram }: Overlay2Options,
): Promise<OverlayHost | OverlayRefusal> {
  reapProbes(home, discardOverlayProbe)
  const directory = nearestDirectory(home)
  if (mountProgram !== undefined && mountProgram !== 'none') return examineProgram(directory, mountProgram)
  const host = await examineOverlay(directory)
  // Where nothing can be written, no program helps.
  if (host.supported || host.code === 'not-writable' || mountProgram === 'none') return host
  const other = await examineProgram(directory)
  return other.supported ? other : host
}
