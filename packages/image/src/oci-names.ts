import path from 'node:path'
import type { Descriptor } from './oci-document.ts'
import { parseReference } from './reference.ts'

/** The full name, as containerd and Docker write it. */
const fullName = 'io.containerd.image.name'
/** By the specification a name within the layout: in practice a tag (umoci, Docker) or a whole name (skopeo). */
const refName = 'org.opencontainers.image.ref.name'

/**
 * What a descriptor of a layout's index calls its image, in short form; `undefined` when it is unnamed or its name
 * is none that could be used again.
 *
 * A `ref.name` that looks like nothing but a version (`latest`, `1.2`, `v3`) is a tag, and the file name of the
 * layout is the repository.
 */
export function nameOf(descriptor: Descriptor, layoutPath: string): string | undefined {
  const full = descriptor.annotations.get(fullName)
  const ref = descriptor.annotations.get(refName)
  if (full !== undefined) return familiar(full)
  if (ref === undefined) return undefined
  const isTag = /^(?:latest|v?\d[\w.-]*)$/.test(ref)
  return familiar(isTag ? `${repositoryOf(layoutPath)}:${ref}` : ref)
}

function repositoryOf(layoutPath: string): string {
  return path
    .basename(path.resolve(layoutPath))
    .replace(/\.tar(\.[a-z0-9]+)?$|\.(tgz|tzst)$/, '')
    .toLowerCase()
}

function familiar(name: string): string | undefined {
  try {
    return parseReference(name).familiar
  } catch {
    // The image is good all the same; it can be had by its id.
    return undefined
  }
}
