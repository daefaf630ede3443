import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { AT_FDCWD, lsetxattr, S, utimensat, mknodat } from '@graphdriver/sys'
import fc from 'fast-check'
import { latin1Path } from './sample.ts'

/** One thing that somebody does to a tree. Paths are made of few names, so that deeds meet. */
export type Deed =
  | { readonly kind: 'file'; readonly path: string; readonly content: Uint8Array; readonly mode: number }
  | { readonly kind: 'directory'; readonly path: string; readonly mode: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'hardlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'fifo'; readonly path: string }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'chmod'; readonly path: string; readonly mode: number }
  | { readonly kind: 'chown'; readonly path: string; readonly uid: number; readonly gid: number }
  | { readonly kind: 'note'; readonly path: string; readonly value: Uint8Array }
  | { readonly kind: 'touch'; readonly path: string; readonly mtimeNs: bigint }

const name = fc.constantFrom('a', 'a-b', 'b', 'c c', 'ü', '\xff\xfe', '.hidden', 'n'.repeat(120))
const path = fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'))
const mode = fc.nat(0o7777).map((bits) => bits | 0o700)
const content = fc.uint8Array({ maxLength: 2000, size: 'medium' })
const mtimeNs = fc.oneof(
  fc.bigInt(0n, 2_000_000_000n).map((seconds) => seconds * 1_000_000_000n),
  fc.bigInt(0n, 2_000_000_000_000_000_000n),
)

const deed: fc.Arbitrary<Deed> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('file' as const), path, content, mode }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('directory' as const), path, mode }) },
  fc.record({ kind: fc.constant('symlink' as const), path, target: path }),
  fc.record({ kind: fc.constant('hardlink' as const), path, target: path }),
  fc.record({ kind: fc.constant('fifo' as const), path }),
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('remove' as const), path }) },
  fc.record({ kind: fc.constant('chmod' as const), path, mode }),
  fc.record({ kind: fc.constant('chown' as const), path, uid: fc.nat(3_000_000), gid: fc.nat(70_000) }),
  fc.record({ kind: fc.constant('note' as const), path, value: content }),
  fc.record({ kind: fc.constant('touch' as const), path, mtimeNs }),
)

export const deeds: fc.Arbitrary<readonly Deed[]> = fc.array(deed, { maxLength: 30 })

/** Does what can be done; what cannot, such as writing below a file, is passed over. */
export function perform(root: string, list: readonly Deed[]): void {
  for (const item of list) {
    const at = latin1Path(root, item.path)
    try {
      performOne(root, at, item)
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && typeof error.code === 'string')) throw error
    }
  }
}

function performOne(root: string, at: Buffer, item: Deed): void {
  switch (item.kind) {
    case 'file':
      // A new file, as most programs replace one; never through a symlink.
      mkdirSync(at.subarray(0, at.lastIndexOf('/')), { recursive: true })
      rmSync(at.toString('latin1') === at.toString() ? at.toString() : at, { force: true })
      writeFileSync(at, item.content, { flag: 'wx' })
      chmodSync(at, item.mode)
      return
    case 'directory':
      mkdirSync(at, { recursive: true })
      chmodSync(at, item.mode)
      return
    case 'symlink':
      symlinkSync(item.target, at)
      lutimesSync(at, 1000, 1000)
      return
    case 'hardlink':
      linkSync(latin1Path(root, item.target), at)
      return
    case 'fifo':
      mknodat(AT_FDCWD, at, S.IFIFO | 0o644, 0)
      return
    case 'remove':
      rmSync(at, { recursive: true })
      return
    case 'chmod':
      if (!lstatSync(at).isSymbolicLink()) chmodSync(at, item.mode)
      return
    case 'chown':
      if (!lstatSync(at).isSymbolicLink()) chownSync(at, item.uid, item.gid)
      return
    case 'note':
      lsetxattr(at, 'user.note', Buffer.from(item.value))
      return
    case 'touch':
      utimensat(AT_FDCWD, at, undefined, item.mtimeNs, 0x100)
  }
}

/** Removes what a directory holds. */
export function empty(directory: string): void {
  for (const entry of readdirSync(directory, 'buffer')) {
    rmSync(Buffer.concat([Buffer.from(`${directory}/`), entry]), { recursive: true, force: true })
  }
}
