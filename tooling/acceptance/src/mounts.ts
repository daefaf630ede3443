import { readMountTable } from '@graphdriver/sys'

/** What is mounted below a directory. */
export function mountsBelow(directory: string): readonly string[] {
  return readMountTable()
    .map(({ target }) => target)
    .filter((target) => target.startsWith(`${directory}/`))
}
