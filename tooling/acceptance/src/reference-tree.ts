import path from 'node:path'
import { type Exception, type LabImage, filesystem } from '@tooling/lab'
import { execa } from 'execa'

export interface ReferenceTree extends AsyncDisposable {
  readonly path: string
}

/** The image's tree as umoci makes it, on an ext4 of its own. */
export async function referenceTree(image: LabImage): Promise<ReferenceTree> {
  const place = await filesystem('ext4')
  const bundle = path.join(place.path, 'bundle')
  try {
    await execa('umoci', ['unpack', '--image', `${image.oci.gzip.layout}:latest`, bundle])
  } catch (error) {
    await place[Symbol.asyncDispose]()
    throw error
  }
  return { path: path.join(bundle, 'rootfs'), [Symbol.asyncDispose]: () => place[Symbol.asyncDispose]() }
}

/** Where umoci's tree is right and ours is too. */
export const exceptions: readonly Exception[] = [
  {
    aspect: 'mtime',
    path: /^\/$/,
    reason:
      'no layer has an entry for the root, so its time is the moment of its making; umoci sets the epoch',
  },
  {
    aspect: 'xattrs',
    path: /^\/special\/attribute-empty$/,
    reason: 'Go takes a PAX record without a value for none, so umoci loses attributes that are empty',
  },
]
