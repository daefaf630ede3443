/** What is there, as sorted lists that cases compare before and after. */
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
