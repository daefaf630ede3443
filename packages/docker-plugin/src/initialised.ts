/** What dockerd said last in `Init`, in a file that does not outlive the machine's run. */
import { readFile } from 'node:fs/promises'
import { isSystemError, writeAtomically } from '@graphdriver/sys'

export interface Initialised {
  /** Absolute. */
  readonly Home: string
  readonly Opts: readonly string[]
}

/** @returns undefined where nothing was said, or what is there is no longer to be understood */
export async function readInitialised(file: string): Promise<Initialised | undefined> {
  try {
    const { Home, Opts } = JSON.parse(await readFile(file, 'utf8')) as Partial<Initialised>
    return Home === undefined || Opts === undefined ? undefined : { Home, Opts }
  } catch (error) {
    if (error instanceof SyntaxError || isSystemError(error, 'ENOENT')) return undefined
    throw error
  }
}

export function writeInitialised(file: string, initialised: Initialised): Promise<void> {
  return writeAtomically(file, JSON.stringify(initialised))
}
