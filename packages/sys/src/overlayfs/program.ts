/**
 * A program that does in user space what overlayfs does (fuse-overlayfs), for where the kernel does not let us: old
 * kernels in user namespaces, and filesystems that cannot have an upper directory. It reads and writes the marks of
 * overlayfs.
 */
import { accessSync, constants, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { CommandError, findCommand } from '../command.ts'
import { isSystemError } from '../error.ts'
import { filesystemName, statfs } from '../filesystem.ts'
import { inUserNamespace } from '../process.ts'
import { discardProbe } from '../probe-place.ts'
import { makeScratch } from '../scratch.ts'
import type { OverlayHost, OverlayRefusal } from './host.ts'
import { mountStack } from './stack.ts'

/** The program that everybody means. */
export const standardProgram = 'fuse-overlayfs'

const device = '/dev/fuse'

/** Tries a program in `directory`, which exists. Leaves nothing behind. */
export async function examineProgram(
  directory: string,
  name: string = standardProgram,
): Promise<OverlayHost | OverlayRefusal> {
  const program = path.isAbsolute(name) ? name : findCommand(name)
  if (program === undefined)
    return refuse('no-program', `${name} is not installed`, `install it (Debian package ${standardProgram})`)
  try {
    accessSync(device, constants.R_OK | constants.W_OK)
  } catch {
    return refuse(
      'no-fuse',
      `${device} cannot be opened`,
      'load the module fuse, and let the user open its device',
    )
  }
  try {
    using scratch = makeScratch(directory, 'probe', 0o700)
    try {
      return await tryIn(scratch.path, program)
    } finally {
      discardProbe(scratch.path)
    }
  } catch (error) {
    if (isSystemError(error))
      return refuse(
        'not-writable',
        `${directory} cannot be written: ${error.message}`,
        'choose another data root',
      )
    if (error instanceof CommandError)
      return refuse('mount-program', `${program} does not mount here: ${error.message}`, 'see what it says')
    throw error
  }
}

async function tryIn(scratch: string, program: string): Promise<OverlayHost | OverlayRefusal> {
  for (const name of ['top', 'bottom', 'upper', 'work', 'merged']) mkdirSync(path.join(scratch, name))
  for (const name of ['top/a', 'bottom/b']) writeFileSync(path.join(scratch, name), '')
  const upper = { diff: 'upper', work: 'work' }
  const point = { home: scratch, target: path.join(scratch, 'merged'), appendsLower: false, program }
  await mountStack(point, { lower: ['top', 'bottom'], upper, options: [] })
  rmSync(path.join(scratch, 'merged/b'))
  if (readdirSync(path.join(scratch, 'merged')).join() !== 'a')
    return refuse('mount-program', `${program} does not show what it should`, 'install another version of it')
  return {
    supported: true,
    backing: filesystemName(statfs(scratch).type),
    xattr: inUserNamespace() ? 'user' : 'trusted',
    options: [],
    appendsLower: false,
    nativeDiff: { native: false, reason: `${path.basename(program)} marks deletions in more than one way` },
    mayRedirect: false,
    program,
  }
}

function refuse(code: string, reason: string, hint: string): OverlayRefusal {
  return { supported: false, code, reason, hint }
}
