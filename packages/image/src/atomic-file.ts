import { randomBytes } from 'node:crypto'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import path from 'node:path'

/**
 * Writes a file so that at any time, also after a power cut, there is either what was before or all of `content`:
 * the bytes are on the disk before they get their name, and the name is before this returns.
 */
export async function writeAtomically(file: string, content: string | Uint8Array): Promise<void> {
  const directory = path.dirname(file)
  const temporary = path.join(directory, `.tmp-${path.basename(file)}${randomBytes(8).toString('hex')}`)
  try {
    await using handle = await open(temporary, 'wx', 0o600)
    await handle.writeFile(content)
    await handle.sync()
    await rename(temporary, file)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await syncDirectory(directory)
}

/** Makes a directory and what is missing above it, all of it durable and for the owner alone. */
export async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = directory; made.startsWith(first); made = path.dirname(made)) {
    await syncDirectory(path.dirname(made))
  }
}

/** Makes names that were added to or taken from a directory durable. */
export async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r')
  await handle.sync()
}
