/** What is there, as sorted lists that cases compare before and after. */
import { lstatSync } from 'node:fs'
import path from 'node:path'
import type { Driver } from '../driver.ts'
import type { LayerId } from '../id.ts'
import { walkTree } from './tree/tree.ts'

/** The layers that a driver lists. */
export async function idsOf(driver: Driver): Promise<readonly LayerId[]> {
  return (await Array.fromAsync(driver.layers())).toSorted()
}

/** Every name below a directory, absolute, links not followed, in byte order. */
export function namesBelow(directory: string): readonly string[] {
  return [...walkTree(directory).keys()]
    .filter((name) => name !== '')
    .map((name) => path.join(directory, name))
}

/** What a write of any kind changes, of a directory and all below it, a line for each name. */
export function stamps(root: string): readonly string[] {
  return [root, ...namesBelow(root)].map((name) => {
    const { mode, uid, size, nlink, mtimeNs, ctimeNs } = lstatSync(name, { bigint: true })
    return [name, mode, uid, size, nlink, mtimeNs, ctimeNs].join(' ')
  })
}
