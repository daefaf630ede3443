import { randomBytes } from 'node:crypto'
import { tarOf, type TarEntry } from '@tooling/lab'

const perDirectory = 100

/** The tar of a layer: files of 1 KiB, a hundred to a directory. */
export function smallFiles(count: number, bytes = 1024): Buffer {
  const noise = randomBytes(bytes).toString('base64').slice(0, bytes)
  const entries: TarEntry[] = []
  for (let at = 0; at < count; at++) {
    const directory = `d${Math.floor(at / perDirectory)}`
    if (at % perDirectory === 0) entries.push({ name: `${directory}/` })
    const own = `${at} `
    entries.push({ name: `${directory}/f${at}`, content: own + noise.slice(own.length) })
  }
  return tarOf(entries)
}
