import { randomBytes } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { namesIn } from './directory.ts'

const temporaryPrefix = '.tmp-'

/**
 * Writes a file so that at any time, also after a power cut, there is either what was before or all of `content`:
 * the bytes are on the disk before they get their name, and the name is before this returns.
 *
 * @param isFlushed false where nothing is to wait for the disk; then that is true of processes that die, and not of power cuts
 */
export async function writeAtomically(
  file: string,
  content: string | Uint8Array,
  isFlushed = true,
): Promise<void> {
  const directory = path.dirname(file)
  const temporary = path.join(directory, `${temporaryPrefix}${randomBytes(8).toString('hex')}`)
  try {
    await using handle = await open(temporary, 'wx', 0o600)
    await handle.writeFile(content)
    if (isFlushed) await handle.sync()
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  if (isFlushed) await syncDirectory(directory)
}

/** Paths of what `writeAtomically` was making in a directory when its process was killed: nobody's, while nobody writes there. */
export async function unfinishedFiles(directory: string): Promise<readonly string[]> {
  return (await namesIn(directory)).filter(isUnfinished).map((name) => path.join(directory, name))
}

/** Whether a name is one that `writeAtomically` gives to what it is making. */
export function isUnfinished(name: string): boolean {
  return name.startsWith(temporaryPrefix) && /^[0-9a-f]{16}$/.test(name.slice(temporaryPrefix.length))
}

/** Makes names that were added to or taken from a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r')
  await handle.sync()
}
