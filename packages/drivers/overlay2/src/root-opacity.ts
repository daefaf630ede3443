/**
 * A layer may hide all that is below it (`.wh..wh..opq` at the top of its tar). overlayfs knows opaque directories,
 * but merges the roots of its layers whatever they are marked, so there the mark has to be spelled out name by name.
 */
import { lstatSync, readdirSync } from 'node:fs'
import {
  AT_FDCWD,
  AT_SYMLINK_NOFOLLOW,
  lgetxattr,
  lremovexattr,
  lsetxattr,
  lstatx,
  mknodat,
  S,
  utimensat,
} from '@graphdriver/sys'
import type { OverlayXattr } from './trial.ts'

const slash = Buffer.from('/')

/** Whether a layer's own root was marked opaque. */
export function isRootOpaque(diff: string, xattr: OverlayXattr): boolean {
  return lgetxattr(diff, `${xattr}.overlay.opaque`)?.toString() === 'y'
}

/** Replaces the mark on the root of `diff` by one for each name that `below`, the parent's tree, has. */
export function spellOutOpacity(diff: string, below: string, xattr: OverlayXattr): void {
  const opaque = `${xattr}.overlay.opaque`
  const { atimeSec, atimeNsec, mtimeSec, mtimeNsec } = lstatx(diff)
  for (const name of readdirSync(below, { encoding: 'buffer' })) {
    const own = Buffer.concat([Buffer.from(diff), slash, name])
    const found = lstatSync(own, { throwIfNoEntry: false })
    if (found === undefined) mknodat(AT_FDCWD, own, S.IFCHR, 0n)
    else if (found.isDirectory()) lsetxattr(own, opaque, Buffer.from('y'))
  }
  lremovexattr(diff, opaque)
  const times = [nanoseconds(atimeSec, atimeNsec), nanoseconds(mtimeSec, mtimeNsec)] as const
  utimensat(AT_FDCWD, diff, ...times, AT_SYMLINK_NOFOLLOW)
}

function nanoseconds(seconds: number, rest: number): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(rest)
}
