import { isGraphDriverError } from '@graphdriver/core'
import { isSystemError } from '@graphdriver/sys'

/** Something that reads what strangers wrote. */
export interface Target {
  readonly name: string
  readonly title: string
  /** What it begins with: each kind of input that there is. */
  readonly seeds: (random: () => number) => readonly Buffer[] | Promise<readonly Buffer[]>
  /** Words of its language. */
  readonly words: readonly string[]
  /** What makes a fresh one of it; disposed in the end. */
  readonly open: () => Promise<Reader>
}

export interface Reader extends AsyncDisposable {
  /** Reads one. @throws GraphDriverError for what it refuses; anything else is a fault of ours */
  read(input: Buffer): void | Promise<void>
}

/** A reader that needs nothing. */
export function reader(read: Reader['read']): () => Promise<Reader> {
  return () => Promise.resolve({ read, [Symbol.asyncDispose]: () => Promise.resolve() })
}

/** @throws what is no refusal */
export async function refusing(action: () => unknown): Promise<void> {
  try {
    await action()
  } catch (error) {
    if (!isGraphDriverError(error)) throw error
  }
}

/** The same for what makes files, where the host may refuse too: an attribute with a value that it does not take. */
export async function refusingOnHost(action: () => unknown): Promise<void> {
  try {
    await refusing(action)
  } catch (error) {
    if (
      !isSystemError(error, 'EINVAL', 'EOPNOTSUPP', 'ENAMETOOLONG', 'EPERM', 'E2BIG', 'ERANGE', 'EOVERFLOW')
    )
      throw error
  }
}
