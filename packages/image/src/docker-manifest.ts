/**
 * `manifest.json`, the table of contents of a docker save archive since Docker 1.10.
 *
 * @see https://github.com/moby/docker-image-spec/blob/main/spec.md "Combined Image JSON + Filesystem Changeset Format"
 */
import { type JsonFailure, parseJson } from './json.ts'

export interface DockerManifestItem {
  /** Entry of the image config. */
  readonly config: string
  readonly repoTags: readonly string[]
  /** Entries of the layers, base first. */
  readonly layers: readonly string[]
}

export const dockerManifestName = 'manifest.json'

export function parseDockerManifest(bytes: Uint8Array, fail: JsonFailure): readonly DockerManifestItem[] {
  const items = parseJson(bytes, fail).list()
  return items.map((item) => ({
    config: item.field('Config').string(),
    repoTags: item.field('RepoTags').strings(),
    layers: item.field('Layers').strings(),
  }))
}
