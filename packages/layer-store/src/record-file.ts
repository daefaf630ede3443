/** The small files that records are made of. */
import { open, readFile } from 'node:fs/promises'
import path from 'node:path'
import { isSystemError } from '@graphdriver/sys'

/**
 * Writes a file that must not exist yet, and does not return before it is on the disk.
 *
 * @param isFlushed false where the caller flushes the whole filesystem before the file counts
 */
export async function writeRecordFile(
  directory: string,
  name: string,
  content: string,
  isFlushed = true,
): Promise<void> {
  await using file = await open(path.join(directory, name), 'wx', 0o644)
  await file.writeFile(content)
  if (isFlushed) await file.sync()
}

/** The file without surrounding white space; `undefined` when nothing has its name, empty for what is no file. */
export async function readRecordFile(directory: string, name: string): Promise<string | undefined> {
  try {
    return (await readFile(path.join(directory, name), 'utf8')).trim()
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'ENOTDIR')) return undefined
    if (isSystemError(error, 'EISDIR')) return ''
    throw error
  }
}
