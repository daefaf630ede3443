/** From an index to the manifests that could be meant, and from these to the one that runs here best. */
import type { CallOptions } from '@graphdriver/core'
import { maxConfigBytes, parseImageConfig } from './image-config.ts'
import { invalidImage } from './invalid-image.ts'
import { blobName, type OciBlobs } from './oci-blobs.ts'
import { type Descriptor, kindOf } from './oci-document.ts'
import { type Platform, platformRank } from './platform.ts'
import { platformOf } from './requirements.ts'

/** A manifest, and what it is for; without a platform the image does not say, and is taken for anything. */
export interface Candidate {
  readonly descriptor: Descriptor
  readonly platform: Platform | undefined
}

/** Indexes are nested once in practice. */
const maxDepth = 8

/**
 * The manifests of images that `descriptor` stands for. Other platforms' blobs need not be there, as long as the
 * index says which platforms they are for.
 *
 * @throws GD_IMAGE_INVALID, GD_DIGEST_MISMATCH
 */
export async function candidatesOf(
  blobs: OciBlobs,
  descriptor: Descriptor,
  source: string,
  options: CallOptions,
  depth = 0,
): Promise<readonly Candidate[]> {
  switch (kindOf(descriptor)) {
    case 'index': {
      if (depth === maxDepth) throw invalidImage(source, `nests indexes more than ${maxDepth} deep`)
      const index = await blobs.index(descriptor, options)
      const candidates: Candidate[] = []
      for (const inner of index.manifests) {
        candidates.push(...(await candidatesOf(blobs, inner, source, options, depth + 1)))
      }
      return candidates
    }
    case 'manifest':
      if (descriptor.platform !== undefined) return [{ descriptor, platform: descriptor.platform }]
      return unlabelled(blobs, descriptor, options)
    case 'config':
    case 'layer':
    case undefined:
      return []
  }
}

/** A manifest that has to be opened to know what it is for. Artifacts, which are no images, drop out here. */
async function unlabelled(
  blobs: OciBlobs,
  descriptor: Descriptor,
  options: CallOptions,
): Promise<readonly Candidate[]> {
  const { config } = await blobs.manifest(descriptor, options)
  if (kindOf(config) !== 'config') return []
  const bytes = await blobs.read(config, maxConfigBytes, options)
  return [{ descriptor, platform: platformOf(parseImageConfig(bytes, blobs.failureIn(blobName(config)))) }]
}

/** Those of the best rank, in their order. */
export function bestOf(candidates: readonly Candidate[], wanted: Platform): readonly Candidate[] {
  const ranked = candidates.flatMap((candidate) => {
    const rank = candidate.platform === undefined ? 0 : platformRank(wanted, candidate.platform)
    return rank === undefined ? [] : [{ candidate, rank }]
  })
  const best = Math.min(...ranked.map(({ rank }) => rank))
  return ranked.filter(({ rank }) => rank === best).map(({ candidate }) => candidate)
}
