import { mkdtemp } from 'node:fs/promises'
import path from 'node:path'
import { ownPrefix } from './owner.ts'
import { enterLab, labRoot, tearDown } from './reap.ts'

export interface TemporaryDirectory extends AsyncDisposable {
  /** Absolute, without symbolic links. */
  readonly path: string
}

/**
 * A directory for one case. Disposing it removes it, and fails if something was still mounted inside: that was
 * the case's to unmount.
 *
 * @param parent by default the system's temporary directory, where `reap` finds what a killed process left
 */
export async function temporaryDirectory(parent?: string): Promise<TemporaryDirectory> {
  enterLab()
  const directory = await mkdtemp(path.join(parent ?? labRoot(), ownPrefix()))
  return {
    path: directory,
    async [Symbol.asyncDispose]() {
      const leaked = tearDown(directory)
      if (leaked.length > 0)
        throw new Error(`${leaked.join(', ')} was left mounted; the case must unmount it`)
    },
  }
}
