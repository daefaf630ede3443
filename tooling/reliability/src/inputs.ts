/** What operations work with: two images, the second with two layers more, as `docker save` writes them. */
import { mkdir } from 'node:fs/promises'
import path from 'node:path'
import { generatedImage, type TarEntry } from '@tooling/lab'
import { windowsLayers } from './windows-inputs.ts'

export interface Inputs {
  readonly base: string
  readonly image: string
}

export const baseName = 'base:latest'
export const imageName = 'image:latest'

const bytes = (length: number, letter: string): string => letter.repeat(length)

/** Something of each kind that layers have. */
const baseLayer: readonly TarEntry[] = [
  { name: 'etc/' },
  { name: 'etc/passwd', content: 'root:x:0:0::/:/bin/sh\n' },
  { name: 'bin/' },
  { name: 'bin/sh', content: bytes(9000, 's'), mode: 0o755 },
  { name: 'bin/bash', link: { kind: 'hard', target: 'bin/sh' } },
  { name: 'lib', link: { kind: 'symbolic', target: 'usr/lib' } },
  { name: 'var/' },
  { name: 'var/cache', content: 'old' },
  { name: 'var/log/' },
  { name: 'var/log/one', content: 'one' },
]

const middleLayer: readonly TarEntry[] = [
  { name: 'etc/.wh.passwd', mode: 0 },
  { name: 'srv/' },
  ...Array.from({ length: 12 }, (_, index) => ({
    name: `srv/file${index}`,
    content: bytes(1000 * index, 'm'),
  })),
]

const topLayer: readonly TarEntry[] = [
  { name: 'var/log/' },
  { name: 'var/log/.wh..wh..opq', mode: 0 },
  { name: 'var/log/two', content: 'two' },
  { name: 'srv/' },
  { name: 'srv/file3', content: bytes(70_000, 't') },
]

/** Writes both into a directory that is there, of what a driver keeps. */
export async function makeInputs(directory: string, driver: string): Promise<Inputs> {
  const make = async (
    name: string,
    reference: string,
    layers: readonly (readonly TarEntry[] | Buffer)[],
  ): Promise<string> => {
    const place = path.join(directory, name)
    await mkdir(place)
    return await generatedImage(place, reference, layers, osOf(driver))
  }
  const layers = driver === 'windows' ? windowsLayers : [baseLayer, middleLayer, topLayer]
  return {
    base: await make('base', baseName, layers.slice(0, 1)),
    image: await make('image', imageName, layers),
  }
}

/** For which system the images are that a driver keeps. */
export function osOf(driver: string): 'linux' | 'windows' {
  return driver === 'windows' ? 'windows' : 'linux'
}
