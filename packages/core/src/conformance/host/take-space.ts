import { closeSync, openSync, writeSync } from 'node:fs'
import { command } from './command.ts'

const block = Buffer.alloc(1024 * 1024)

/**
 * Has a new file take so many bytes of its filesystem: at once where the filesystem can do that, else by writing them.
 *
 * @throws Error where there is no room
 */
export async function takeSpace(file: string, bytes: number): Promise<void> {
  try {
    await command('fallocate', ['--length', String(bytes), file])
  } catch (error) {
    if (!/not supported/i.test(String(error))) throw error
    writeZeros(file, bytes)
  }
}

function writeZeros(file: string, bytes: number): void {
  const fd = openSync(file, 'w')
  try {
    for (let left = bytes; left > 0;) left -= writeSync(fd, block, 0, Math.min(block.length, left))
  } finally {
    closeSync(fd)
  }
}
