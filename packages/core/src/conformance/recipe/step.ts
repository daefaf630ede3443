/**
 * Recipes: what somebody does to a tree, as data. The same recipe is done to a plain directory and in a layer, and
 * then the two must be equal. Paths are relative to the root.
 */

/** Text as it is, or so many bytes that depend on a seed only. */
export type Content = string | { readonly bytes: number; readonly seed: number }

export interface Attributes {
  readonly mode?: number
  readonly uid?: number
  readonly gid?: number
  /** Seconds since 1970, with a fraction. */
  readonly mtime?: number
}

export type Step =
  | { readonly do: 'file'; readonly path: string; readonly content: Content; readonly with?: Attributes }
  | { readonly do: 'directory'; readonly path: string; readonly with?: Attributes }
  | { readonly do: 'symlink'; readonly path: string; readonly target: string; readonly with?: Attributes }
  | { readonly do: 'link'; readonly path: string; readonly to: string }
  | { readonly do: 'rename'; readonly path: string; readonly to: string }
  | { readonly do: 'remove'; readonly path: string }
  | { readonly do: 'append'; readonly path: string; readonly content: Content }
  | { readonly do: 'attributes'; readonly path: string; readonly with: Attributes }
  | { readonly do: 'xattr'; readonly path: string; readonly name: string; readonly value: string }
  | {
      readonly do: 'device'
      readonly path: string
      readonly kind: 'c' | 'b'
      readonly major: number
      readonly minor: number
      readonly with?: Attributes
    }
  | { readonly do: 'fifo'; readonly path: string; readonly with?: Attributes }
  | { readonly do: 'socket'; readonly path: string }

export type Recipe = readonly Step[]

/** A new file, or new content for one that is there: opened, cut and written, not replaced. */
export function file(path: string, content: Content = path, attributes?: Attributes): Step {
  return { do: 'file', path, content, ...given(attributes) }
}

export function directory(path: string, attributes?: Attributes): Step {
  return { do: 'directory', path, ...given(attributes) }
}

export function symlink(path: string, target: string, attributes?: Attributes): Step {
  return { do: 'symlink', path, target, ...given(attributes) }
}

/** A second name for `to`. */
export function link(path: string, to: string): Step {
  return { do: 'link', path, to }
}

/** Directories are copied and removed, as mv(1) does where rename(2) is refused. */
export function rename(path: string, to: string): Step {
  return { do: 'rename', path, to }
}

/** With all that is in it. */
export function remove(path: string): Step {
  return { do: 'remove', path }
}

export function append(path: string, content: Content): Step {
  return { do: 'append', path, content }
}

/** Changes owner, mode and time of what is there, links not followed. */
export function attributes(path: string, wanted: Attributes): Step {
  return { do: 'attributes', path, with: wanted }
}

/** @param value in the notation of setfattr(1): text, or `0x` and hexadecimal digits */
export function xattr(path: string, name: string, value: string): Step {
  return { do: 'xattr', path, name, value }
}

export function device(
  path: string,
  kind: 'c' | 'b',
  [major, minor]: readonly [number, number],
  attributes?: Attributes,
): Step {
  return { do: 'device', path, kind, major, minor, ...given(attributes) }
}

export function fifo(path: string, attributes?: Attributes): Step {
  return { do: 'fifo', path, ...given(attributes) }
}

export function socket(path: string): Step {
  return { do: 'socket', path }
}

function given(wanted: Attributes | undefined): { readonly with?: Attributes } {
  return wanted === undefined ? {} : { with: wanted }
}

/** One line a person can do again by hand. */
export function stepText(step: Step): string {
  const { do: verb, path, ...rest } = step
  const details = Object.entries(rest).map(
    ([key, value]) => `${key} ${withOctalModes(JSON.stringify(value))}`,
  )
  return [verb, JSON.stringify(path), ...details].join(' ')
}

function withOctalModes(json: string): string {
  return json.replaceAll(/"mode":(\d+)/g, (_, mode: string) => `"mode":0o${Number(mode).toString(8)}`)
}

/** The bytes of a content: the same for the same seed, and never compressible into a hole. */
export function contentBytes(content: Content): Buffer {
  if (typeof content === 'string') return Buffer.from(content)
  const bytes = Buffer.allocUnsafe(content.bytes)
  let state = (content.seed + 1) >>> 0
  for (let at = 0; at < bytes.length; at++) {
    // xorshift32: enough that no two blocks are alike.
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[at] = state & 0xff
  }
  return bytes
}
