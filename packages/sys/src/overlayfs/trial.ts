/** A first mount in a scratch directory, to see what overlayfs does there. */
import { mkdirSync, readFileSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { isSystemError } from '../error.ts'
import { inUserNamespace } from '../process.ts'
import { lgetxattr, lsetxattr } from '../xattr.ts'
import type { MountOption, Stack } from './mount-data.ts'
import { mountStack } from './stack.ts'

/** The namespace of overlayfs' own attributes: `<xattr>.overlay.opaque`. */
export type OverlayXattr = 'trusted' | 'user'

/** Whether an upper directory is exactly what was changed. */
export type UpperIsDiff = { readonly native: true } | { readonly native: false; readonly reason: string }

export type TrialMount =
  | { readonly mounted: true; readonly xattr: OverlayXattr; readonly options: readonly MountOption[] }
  | { readonly mounted: false; readonly failure: unknown }

/** One mount of two lower directories, and what it is seen to do. */
export class Trial {
  readonly #directory: string
  readonly #appendsLower: boolean

  constructor(directory: string, appendsLower: boolean) {
    this.#directory = directory
    this.#appendsLower = appendsLower
    for (const name of [
      'bottom/replaced/old',
      'bottom/opaque',
      'bottom/moved',
      'top/opaque',
      'upper',
      'work',
    ])
      mkdirSync(path.join(directory, name), { recursive: true })
    mkdirSync(path.join(directory, 'merged'))
  }

  async mount(): Promise<TrialMount> {
    let failure: unknown
    for (const xattr of inUserNamespace() ? (['user', 'trusted'] as const) : (['trusted'] as const)) {
      const options = optionsOf(xattr)
      const stack: Stack = { lower: ['top', 'bottom'], upper: { diff: 'upper', work: 'work' }, options }
      try {
        // The kernel reads the attribute when it looks the directory up, so it has to be there before.
        this.#setOpaque(xattr)
        const target = this.#at('merged')
        const point = { home: this.#directory, target, appendsLower: this.#appendsLower }
        await mountStack(point, stack)
        return { mounted: true, xattr, options }
      } catch (error) {
        failure = error
      }
    }
    return { mounted: false, failure }
  }

  /** A directory made anew over a deleted one must not show what was in the old one. */
  keepsOpaque(xattr: OverlayXattr): boolean {
    try {
      rmSync(this.#at('merged/replaced'), { recursive: true })
      mkdirSync(this.#at('merged/replaced'))
    } catch (error) {
      if (isSystemError(error, 'EIO', 'EOPNOTSUPP', 'ENOTSUP', 'EPERM')) return false
      throw error
    }
    return this.#isOpaque(xattr, 'upper/replaced')
  }

  nativeDiff(xattr: OverlayXattr): UpperIsDiff {
    if (inUserNamespace() && xattr === 'trusted')
      return naive(
        'a user namespace may not read trusted.overlay attributes; Linux 5.11 or later has userxattr',
      )
    writeFileSync(this.#at('merged/opaque/new'), '')
    if (this.#isOpaque(xattr, 'upper/opaque'))
      return naive('the kernel copies the opaque mark up (moby issue 28138); Linux 4.8 or later does not')
    if (parameter('metacopy') === 'Y' && xattr === 'trusted')
      return naive('overlayfs keeps changes of metadata apart (metacopy); set its module parameter to N')
    try {
      renameSync(this.#at('merged/moved'), this.#at('merged/renamed'))
    } catch (error) {
      return isSystemError(error, 'EXDEV') ? { native: true } : naive(`renaming failed: ${String(error)}`)
    }
    rmdirSync(this.#at('merged/renamed'))
    return naive('overlayfs renames directories by redirects; set its module parameter redirect_dir to N')
  }

  #setOpaque(xattr: OverlayXattr): void {
    try {
      lsetxattr(this.#at('top/opaque'), `${xattr}.overlay.opaque`, Buffer.from('y'))
    } catch (error) {
      // Whether attributes work is for keepsOpaque to say.
      if (!isSystemError(error, 'EPERM', 'EOPNOTSUPP', 'ENOTSUP')) throw error
    }
  }

  #isOpaque(xattr: OverlayXattr, name: string): boolean {
    try {
      return lgetxattr(this.#at(name), `${xattr}.overlay.opaque`)?.toString() === 'y'
    } catch (error) {
      if (isSystemError(error, 'EOPNOTSUPP', 'ENOTSUP')) return false
      throw error
    }
  }

  #at(name: string): string {
    return path.join(this.#directory, name)
  }
}

function naive(reason: string): UpperIsDiff {
  return { native: false, reason }
}

/**
 * The options of every mount here.
 *
 * `index=off` as Docker has it (moby issue 37993): with an index a layer cannot be mounted again elsewhere. Redirects
 * and metadata-only copies would make an upper directory unreadable as a diff, so they are off too, except where the
 * administrator turned metacopy on: then layers may exist that cannot be read without it.
 */
function optionsOf(xattr: OverlayXattr): readonly MountOption[] {
  const options: MountOption[] = []
  if (parameter('index') !== undefined) options.push(['index', 'off'])
  // With userxattr the kernel has neither, and takes naming them for a contradiction.
  if (xattr === 'user') return [...options, 'userxattr']
  if (parameter('metacopy') === 'Y') return options
  if (parameter('redirect_dir') !== undefined) options.push(['redirect_dir', 'off'])
  if (parameter('metacopy') !== undefined) options.push(['metacopy', 'off'])
  return options
}

/** A parameter of the kernel's module, `undefined` where it has none of that name. */
export function parameter(name: string): string | undefined {
  try {
    return readFileSync(`/sys/module/overlay/parameters/${name}`, 'utf8').trim()
  } catch {
    return undefined
  }
}
