/** Tars of a few small entries, for images that a case makes up: ustar headers and nothing else. */
export interface TarEntry {
  /** At most 100 bytes; a directory's ends in a slash. */
  readonly name: string
  readonly mode?: number | undefined
  /** A regular file's content. */
  readonly content?: string | undefined
  /** The target of a hard or symbolic link. */
  readonly link?: { readonly kind: 'hard' | 'symbolic'; readonly target: string } | undefined
}

const block = 512
const types = { hard: '1', symbolic: '2' } as const

function octal(value: number, width: number): string {
  return `${value.toString(8).padStart(width - 1, '0')}\0`
}

function header({ name, mode, content = '', link }: TarEntry): Buffer {
  const directory = name.endsWith('/')
  const bytes = Buffer.alloc(block)
  bytes.write(name, 0, 100)
  bytes.write(octal(mode ?? (directory ? 0o755 : 0o644), 8), 100)
  bytes.write(octal(0, 8), 108)
  bytes.write(octal(0, 8), 116)
  bytes.write(octal(Buffer.byteLength(content), 12), 124)
  bytes.write(octal(1_700_000_000, 12), 136)
  bytes.write(link === undefined ? (directory ? '5' : '0') : types[link.kind], 156)
  bytes.write(link?.target ?? '', 157, 100)
  bytes.write('ustar\x0000', 257)
  // The sum is taken with the field itself as spaces.
  bytes.fill(' ', 148, 156)
  const sum = bytes.reduce((total, byte) => total + byte, 0)
  bytes.write(`${octal(sum, 7)} `, 148)
  return bytes
}

function padded(content: string): Buffer {
  const bytes = Buffer.from(content)
  return Buffer.concat([bytes, Buffer.alloc((block - (bytes.length % block)) % block)])
}

/** The whole archive, its end included. Names are written as they are, hostile ones too. */
export function tarOf(entries: readonly TarEntry[]): Buffer {
  const parts = entries.flatMap((entry) => [header(entry), padded(entry.content ?? '')])
  return Buffer.concat([...parts, Buffer.alloc(2 * block)])
}
