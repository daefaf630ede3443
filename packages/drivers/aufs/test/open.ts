/** What the cases share: a driver on a real filesystem, and a few words for what they do with it. */
import { type FilesystemKind, filesystemRequirements, need, workbench } from '@tooling/lab'
import aufs from '../src/index.ts'

export { id, makeLayer } from '@tooling/lab'

export const { homeOf, openAt, openOn } = workbench(aufs)

/** Why cases cannot run here, if they cannot. */
export function missing(...kinds: readonly FilesystemKind[]): string | undefined {
  return need(
    { root: true, kernelFilesystem: 'overlay' },
    ...kinds.flatMap((kind) => filesystemRequirements(kind)),
  )
}
