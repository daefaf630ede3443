/**
 * `repositories.json`: what names images have, as Docker writes it.
 *
 * ```json
 * {"Repositories":{"busybox":{"busybox:latest":"sha256:…","busybox@sha256:…":"sha256:…"}}}
 * ```
 *
 * Keys are in the short form and sorted, so that equal stores have equal files; no repository is empty.
 */
import { type Digest, GraphDriverError, parseDigest } from '@graphdriver/core'
import { parseJson } from './json.ts'

/** Repository, then whole name, then image. */
export type Repositories = ReadonlyMap<string, ReadonlyMap<string, Digest>>

/** @throws GD_STORE_CORRUPT */
export function parseRepositories(bytes: Uint8Array, file: string): Repositories {
  const document = parseJson(bytes, (reason, cause) => {
    const message = `${file}: ${reason}; move it away, and name the images again`
    return new GraphDriverError('GD_STORE_CORRUPT', message, { path: file }, { cause })
  })
  const repositories = document.field('Repositories').entries()
  return new Map(
    repositories.map(([repository, names]) => [
      repository,
      new Map(names.entries().map(([name, id]) => [name, id.parsed(parseDigest)])),
    ]),
  )
}

export function formatRepositories(repositories: Repositories): string {
  const sorted = bySortedKey(repositories).map(([repository, names]) => [
    repository,
    Object.fromEntries(bySortedKey(names)),
  ])
  return JSON.stringify({ Repositories: Object.fromEntries(sorted) })
}

/** The same with one name more, or with it moved to another image. */
export function withName(
  repositories: Repositories,
  repository: string,
  name: string,
  id: Digest,
): Repositories {
  const names = new Map(repositories.get(repository)).set(name, id)
  return new Map(repositories).set(repository, names)
}

export function withoutName(repositories: Repositories, repository: string, name: string): Repositories {
  const names = new Map(repositories.get(repository))
  names.delete(name)
  const rest = new Map(repositories)
  if (names.size === 0) rest.delete(repository)
  else rest.set(repository, names)
  return rest
}

/** All names with their images, sorted. */
export function namesIn(
  repositories: Repositories,
): readonly { readonly name: string; readonly id: Digest }[] {
  return bySortedKey(repositories).flatMap(([, names]) =>
    bySortedKey(names).map(([name, id]) => ({ name, id })),
  )
}

function bySortedKey<T>(map: ReadonlyMap<string, T>): readonly (readonly [string, T])[] {
  return Array.from(map).toSorted(([a], [b]) => (a < b ? -1 : 1))
}
