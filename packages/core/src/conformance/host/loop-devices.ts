import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'

const devices = '/sys/block'

/** The file of a loop device, as losetup(8) reads it too; undefined when it has none. */
export function backingFile(device: string): string | undefined {
  try {
    return readFileSync(path.join(devices, path.basename(device), 'loop/backing_file'), 'utf8').trimEnd()
  } catch {
    return undefined
  }
}

/** Loop devices whose file is in a directory. */
export function attachedBelow(directory: string): readonly (readonly [device: string, file: string])[] {
  if (!existsSync(devices)) return []
  return readdirSync(devices).flatMap((name): (readonly [string, string])[] => {
    if (!name.startsWith('loop')) return []
    const file = backingFile(name)
    return file?.startsWith(directory + path.sep) === true ? [[`/dev/${name}`, file]] : []
  })
}
