import { readdirSync } from 'node:fs'
import path from 'node:path'

/** Every name in a directory and all below it, links not followed; absolute, in no particular order. */
export function namesBelow(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const name = path.join(directory, entry.name)
    return entry.isDirectory() ? [name, ...namesBelow(name)] : [name]
  })
}
