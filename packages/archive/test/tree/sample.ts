import { execFileSync } from 'node:child_process'
import { chmodSync, lutimesSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'

/** For trees whose walk nobody gives up. */
export const never = (): void => undefined

/** moby's sample directory: three directories with files and subdirectories, five files, two symlinks. */
export function makeSample(root: string): void {
  const time = new Date(1_000_000_000_000)
  for (const directory of ['dir1', 'dir2', 'dir3', 'dir3/sub', 'dir4']) {
    mkdirSync(`${root}/${directory}`, { recursive: true })
    writeFileSync(`${root}/${directory}/inner`, directory)
    utimesSync(`${root}/${directory}/inner`, time, time)
  }
  for (const [index, mode] of [0o600, 0o666, 0o6755, 0o600, 0o644].entries()) {
    const file = `${root}/file${index + 1}`
    writeFileSync(file, `content ${index + 1}\n`)
    chmodSync(file, mode)
    utimesSync(file, time, time)
  }
  symlinkSync('target1', `${root}/symlink1`)
  symlinkSync('target2', `${root}/symlink2`)
  for (const name of ['symlink1', 'symlink2']) lutimesSync(`${root}/${name}`, time, time)
}

/** An exact copy by somebody else's hand. */
export function copyWithCp(source: string, target: string): void {
  execFileSync('cp', ['-a', '--', source, target])
}

/** Names that are not UTF-8 are written in latin1. */
export function latin1Path(root: string, name: string): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name, 'latin1')])
}
