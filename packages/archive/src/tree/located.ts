import { type Path, SystemError } from '@graphdriver/sys'

/** Runs a step of a walk; an error of one of its calls, which knows a name only, comes out with the whole path. */
export function located<T>(root: Path, path: Buffer, step: () => T): T {
  try {
    return step()
  } catch (error) {
    throw withPath(error, root, path)
  }
}

/** The error with the path that it happened at, if it is one of a system call that did not know. */
export function withPath(error: unknown, root: Path, path: Buffer): unknown {
  if (!(error instanceof SystemError)) return error
  const { syscall, errno, dest } = error
  const isWhole = error.path?.startsWith('/') === true && !error.path.startsWith('/proc/self/fd/')
  if (isWhole) return error
  return new SystemError(-errno, { syscall, dest, path: `${root.toString()}/${path.toString()}` })
}
