/** What is there, as sorted lists that cases compare before and after. */
import type { Driver } from '../driver.ts'
import type { LayerId } from '../id.ts'
import { readTree } from './tree/tree.ts'

/** The layers that a driver lists. */
export async function idsOf(driver: Driver): Promise<readonly LayerId[]> {
  return (await Array.fromAsync(driver.layers())).toSorted()
}

/** Every name below a directory, relative to it. */
export async function namesBelow(directory: string): Promise<readonly string[]> {
  return [...(await readTree(directory)).keys()]
}
