import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { syncDirectory } from '@graphdriver/sys'

/** Makes a directory and what is missing above it, all of it durable, where it is to be, and for the owner alone. */
export async function makeDirectory(directory: string, isFlushed: boolean): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: 0o700 })
  if (first === undefined || !isFlushed) return
  for (let made = directory; made.startsWith(first); made = path.dirname(made)) {
    await syncDirectory(path.dirname(made))
  }
}
