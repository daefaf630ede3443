import { closeSync, fstatSync } from 'node:fs'
import path from 'node:path'
import { GraphDriverError } from '@graphdriver/core'
import { AT_FDCWD, isSystemError, O, openat, openat2, RESOLVE } from '@graphdriver/sys'
import type { RuntimeSpec } from '@graphdriver/image'
import { ExitCodeError } from '../failure.ts'

/**
 * Looks for the program before a runtime does, since each of them says differently that it is not there.
 *
 * @throws ExitCodeError 127 when it is not in the root filesystem, 126 when it cannot be run
 */
export function requireExecutable({ root, process: { args, env, cwd } }: RuntimeSpec): void {
  const [name = ''] = args
  const fd = openat(AT_FDCWD, root.path, O.PATH | O.DIRECTORY)
  try {
    const kinds = candidates(name, env, cwd).map((candidate) => kindOf(fd, candidate))
    if (kinds.includes('executable')) return
    if (kinds.includes('other')) throw unusable(126, `'${name}' in the image is not an executable file`)
    throw unusable(127, `'${name}' is not in the image; its PATH is ${pathOf(env)}`)
  } finally {
    closeSync(fd)
  }
}

function unusable(exitCode: number, message: string): ExitCodeError {
  return new ExitCodeError(exitCode, new GraphDriverError('GD_PROCESS_INVALID', message, { field: 'args' }))
}

function candidates(name: string, env: readonly string[], cwd: string): readonly string[] {
  if (name.includes('/')) return [path.posix.resolve(cwd, name)]
  return pathOf(env)
    .split(':')
    .map((directory) => path.posix.resolve(cwd, directory, name))
}

function pathOf(env: readonly string[]): string {
  return env.find((variable) => variable.startsWith('PATH='))?.slice('PATH='.length) ?? ''
}

function kindOf(root: number, file: string): 'executable' | 'other' | undefined {
  let fd: number
  try {
    fd = openat2(root, file, { flags: O.PATH, resolve: RESOLVE.IN_ROOT })
  } catch (error) {
    // A link through /proc leads where only the container will be.
    if (isSystemError(error, 'ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES')) return undefined
    throw error
  }
  try {
    const stats = fstatSync(fd)
    return stats.isFile() && (stats.mode & 0o111) !== 0 ? 'executable' : 'other'
  } finally {
    closeSync(fd)
  }
}
