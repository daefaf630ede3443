import { mkdtemp } from 'node:fs/promises'
import path from 'node:path'
import { ownPrefix } from './owner.ts'
import { labRoot, tearDown, tearDownAtExit } from './reap.ts'

export interface TemporaryDirectory extends AsyncDisposable {
  /** Absolute, without symbolic links. */
  readonly path: string
}

/**
 * A directory for one case. Disposing it removes it, and fails if something was still mounted inside: that was
 * the case's to unmount.
 */
export async function temporaryDirectory(): Promise<TemporaryDirectory> {
  tearDownAtExit()
  const directory = await mkdtemp(path.join(labRoot(), ownPrefix()))
  return {
    path: directory,
    async [Symbol.asyncDispose]() {
      const leaked = tearDown(directory)
      if (leaked.length > 0)
        throw new Error(`${leaked.join(', ')} was left mounted; the case must unmount it`)
    },
  }
}
