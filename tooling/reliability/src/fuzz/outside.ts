/** What is beside a place that strangers' layers are unpacked in, and has to stay as it is. */
import {
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

export interface Outside extends Disposable {
  /** Where things are unpacked: empty, and made anew by `renew`. */
  readonly root: string
  /** What links could lead to. */
  readonly victim: string
  renew(): void
  /** @throws Error when anything is not as it was */
  verify(): void
}

export function outside(): Outside {
  const directory = mkdtempSync(path.join(tmpdir(), 'outside-'))
  const at = (name: string): string => path.join(directory, name)
  for (const name of ['root', 'victim', 'victim/a', 'victim/a/b'])
    mkdirSync(at(name), { recursive: true, mode: 0o711 })
  for (const name of ['victim/b', 'victim/a/x', 'victim/passwd'])
    writeFileSync(at(name), 'of the victim', { mode: 0o604 })
  symlinkSync('/nowhere', at('victim/link'))
  const before = listing(directory)
  return {
    root: at('root'),
    victim: at('victim'),
    renew() {
      rmSync(at('root'), { recursive: true, force: true })
      mkdirSync(at('root'))
    },
    verify() {
      const now = listing(directory)
      if (now !== before) throw new Error(`what is outside has changed:\n${before}\nis now\n${now}`)
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true, force: true }),
  }
}

/** Everything but the root itself: names, kinds, modes, owners, times of change, contents. */
function listing(directory: string): string {
  const lines: string[] = []
  const look = (name: string): void => {
    const file = path.join(directory, name)
    const { mode, uid, gid, nlink, ino, ctimeMs } = lstatSync(file)
    const isDirectory = lstatSync(file).isDirectory()
    const content = lstatSync(file).isFile() ? readFileSync(file, 'latin1') : ''
    lines.push([name, mode, uid, gid, nlink, ino, ctimeMs, content].join(' '))
    if (isDirectory) for (const child of readdirSync(file).toSorted()) look(path.join(name, child))
  }
  look('victim')
  lines.push(readdirSync(directory).toSorted().join(' '))
  return lines.join('\n')
}
