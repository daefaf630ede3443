/** The zfs programs that belong to the kernel's ZFS, with the libraries of their own suite. */
import { chmod, cp, glob, lstat, mkdir, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import type { PrivateApt } from './apt.ts'

const programs = ['zfs', 'zpool', 'zdb', 'zstream', 'mount.zfs'] as const

/** Dependencies of Debian's packages that these programs do not load. */
const unneeded =
  /^lib(?:python|perl|db5|ffi|expat|sqlite|ncurses|tinfo|readline|gdbm|mpdec|nsl|pam|apt|gcrypt|systemd)/

/** Leaves `bin/` in the target, whose programs run from wherever the whole of it is moved to. */
export async function unpackZfsTools(apt: PrivateApt, target: string): Promise<void> {
  const root = path.join(target, 'root')
  const names = (await apt.withDependencies('zfsutils-linux')).filter(
    (name) => /^(?:lib[a-z]|zlib1g$|zfsutils-linux$)/.test(name) && !unneeded.test(name),
  )
  await mkdir(root, { recursive: true })
  await apt.unpack(names, root)
  await mergeUsr(root)
  for (const name of ['doc', 'man', 'locale', 'lintian', 'bash-completion'])
    await rm(path.join(root, 'usr/share', name), { recursive: true, force: true })
  await mkdir(path.join(target, 'bin'))
  const [loader] = await Array.fromAsync(glob('usr/lib/*/ld-linux-*.so.*', { cwd: root }))
  if (loader === undefined) throw new Error(`${root} has no dynamic loader`)
  for (const program of programs) await writeWrapper(path.join(target, 'bin', program), loader, program)
}

/** Packages of one suite may still have /lib and /sbin. */
async function mergeUsr(root: string): Promise<void> {
  for (const name of ['lib', 'sbin', 'lib64']) {
    const found = await lstat(path.join(root, name)).catch(() => undefined)
    if (found?.isDirectory() !== true) continue
    await cp(path.join(root, name), path.join(root, 'usr', name), {
      recursive: true,
      verbatimSymlinks: true,
      force: true,
    })
    await rm(path.join(root, name), { recursive: true })
  }
}

/** The programs' own loader and libraries, since the machine's may be older. */
async function writeWrapper(file: string, loader: string, program: string): Promise<void> {
  const lines = [
    '#!/bin/sh',
    'r=$(dirname "$(readlink -f "$0")")/../root',
    `exec "$r/${loader}" --library-path "$r/${path.dirname(loader)}" --argv0 ${program} "$r/usr/sbin/${program}" "$@"`,
  ]
  await writeFile(file, `${lines.join('\n')}\n`)
  await chmod(file, 0o755)
}
