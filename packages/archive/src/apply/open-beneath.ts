import { isSystemError, O, openat, openat2, RESOLVE } from '@graphdriver/sys'
import { pathBytes } from './entry-path.ts'

const directoryFlags = O.RDONLY | O.DIRECTORY | O.NOFOLLOW
const beneath = {
  flags: directoryFlags,
  resolve: RESOLVE.BENEATH | RESOLVE.NO_SYMLINKS | RESOLVE.NO_MAGICLINKS,
}

/** Opens a directory in a directory. @throws SystemError ELOOP or ENOTDIR when it is something else */
export function openBeneath(parent: number, name: string): number {
  const path = pathBytes(name)
  try {
    return openat2(parent, path, beneath)
  } catch (error) {
    // Linux before 5.6. A single component without symlinks is as safe with O_NOFOLLOW.
    if (isSystemError(error, 'ENOSYS')) return openat(parent, path, directoryFlags)
    throw error
  }
}
