/**
 * After its times were set by extended attribute, ntfs-3g does not write down what else happens to a file's times, for
 * as long as it has the file in its cache of 64 inodes: what is written to it then would not be seen by its time. So
 * when all times are set, as many other inodes are looked at.
 *
 * @see libntfs-3g/inode.c, `TimesSet`; include/ntfs-3g/param.h, CACHE_NIDATA_SIZE
 */
import { mkdirSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isSystemError } from '@graphdriver/sys'
import { attributesOf } from './attributes.ts'

const count = 128

/** Has ntfs-3g forget what it knows of files. @param home where the files are that are looked at instead */
export function forgetInodes(home: string): void {
  const directory = path.join(home, '.graphdriver-inodes')
  for (let index = 0; index < count; index++) {
    const file = path.join(directory, String(index))
    try {
      // Unlike what stat(2) tells, this is not in the kernel's cache.
      attributesOf(Buffer.from(file))
    } catch (error) {
      if (!isSystemError(error, 'ENOENT')) throw error
      mkdirSync(directory, { recursive: true, mode: 0o700 })
      writeFileSync(file, '')
    }
  }
}
