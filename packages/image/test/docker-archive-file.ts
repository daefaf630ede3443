/** Docker's two generations of archives. */
import { digestHex, digestOf } from '@graphdriver/core'
import type { SampleImage } from './sample-image.ts'
import { type Entry, tar } from './tar-file.ts'

/** Before Docker 25: a directory per layer, and a symlink to it where another image has the same layer. */
export function dockerArchive(...images: readonly SampleImage[]): Buffer {
  return tar(...dockerEntries(...images))
}

export function dockerEntries(...images: readonly SampleImage[]): Entry[] {
  const entries: Entry[] = []
  const firsts = new Map<string, string>()
  const manifest = images.map((image, at) => {
    const config = `${digestHex(image.id)}.json`
    entries.push({ name: config, content: image.configBytes })
    const layers = image.layers.map((bytes, index) => {
      const directory = digestHex(digestOf(`${at}/${index}`))
      const name = `${directory}/layer.tar`
      const first = firsts.get(digestOf(bytes))
      firsts.set(digestOf(bytes), first ?? directory)
      entries.push({ name: `${directory}/` }, { name: `${directory}/VERSION`, content: '1.0' })
      entries.push(
        first === undefined ? { name, content: bytes } : { name, symlink: `../${first}/layer.tar` },
      )
      return name
    })
    return { Config: config, RepoTags: image.names.length === 0 ? null : image.names, Layers: layers }
  })
  entries.push({ name: 'manifest.json', content: `${JSON.stringify(manifest)}\n` })
  return entries
}

/** Since Docker 25: blobs named by their digests. */
export function dockerArchive25(...images: readonly SampleImage[]): Buffer {
  const entries: Entry[] = [{ name: 'blobs/' }, { name: 'blobs/sha256/' }]
  const blob = (bytes: Buffer): string => {
    const name = `blobs/sha256/${digestHex(digestOf(bytes))}`
    if (!entries.some((entry) => entry.name === name)) entries.push({ name, content: bytes })
    return name
  }
  const manifest = images.map((image) => ({
    Config: blob(image.configBytes),
    RepoTags: image.names,
    Layers: image.layers.map(blob),
  }))
  entries.push({ name: 'manifest.json', content: JSON.stringify(manifest) })
  entries.push({ name: 'oci-layout', content: '{"imageLayoutVersion": "1.0.0"}' })
  return tar(...entries)
}
