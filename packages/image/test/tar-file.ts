/** Tars made by hand, so that tests know every byte. */
export interface Entry {
  readonly name: string
  readonly content?: string | Uint8Array
  readonly symlink?: string
  readonly hardlink?: string
}

const block = 512

export function tar(...entries: readonly Entry[]): Buffer {
  return Buffer.concat([...entries.flatMap(pieces), Buffer.alloc(2 * block)])
}

function pieces(entry: Entry): readonly Buffer[] {
  const content = Buffer.from(entry.content ?? '')
  const header = Buffer.alloc(block)
  const directory = entry.name.endsWith('/')
  const type = entry.symlink !== undefined ? '2' : entry.hardlink !== undefined ? '1' : directory ? '5' : '0'
  const octal = (value: number, at: number, length: number): void => {
    header.write(value.toString(8).padStart(length - 1, '0'), at, 'latin1')
  }
  header.write(entry.name, 0)
  octal(directory ? 0o755 : 0o644, 100, 8)
  octal(0, 108, 8)
  octal(0, 116, 8)
  octal(content.length, 124, 12)
  octal(0, 136, 12)
  header.write('        ', 148, 'latin1')
  header.write(type, 156, 'latin1')
  header.write(entry.symlink ?? entry.hardlink ?? '', 157)
  header.write('ustar\u000000', 257, 'latin1')
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\u0000 `, 148, 'latin1')
  return [header, content, Buffer.alloc((block - (content.length % block)) % block)]
}
