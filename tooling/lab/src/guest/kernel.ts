/**
 * The kernel of the guests: user-mode Linux, an ordinary program that is a kernel. Made from Debian's linux-source,
 * with the ZFS sources of its zfs-dkms built in; the newest Linux that this ZFS says it supports.
 */
import { appendFile, copyFile, mkdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import path from 'node:path'
import { execa } from 'execa'
import type { PrivateApt } from './apt.ts'

const fragment = path.join(import.meta.dirname, 'kernel.config')

/** Of the sources, what no user-mode kernel can use: two thirds of the time that unpacking takes. */
const leftOut = [
  '*/drivers/gpu/*.[ch]',
  '*/drivers/media/*.[ch]',
  '*/drivers/net/ethernet/*.[ch]',
  '*/drivers/net/wireless/*.[ch]',
  '*/sound/*.[ch]',
  '*/tools/testing',
  '*.dts*',
]

export interface KernelVersions {
  readonly linux: string
  readonly zfs: string
}

/** Builds in `work` (some 3 GB), and leaves the kernel as `target`, one executable file. */
export async function buildKernel(apt: PrivateApt, work: string, target: string): Promise<KernelVersions> {
  const zfs = await unpackZfs(apt, work)
  const source = await newestSource(apt, zfs.maximum)
  const tree = await unpackLinux(apt, work, source)
  await tickFaster(tree)
  const kernel = new Tree(tree, path.join(work, 'build.log'))
  await kernel.make('defconfig')
  await kernel.configure()
  await kernel.make('prepare', 'scripts')
  await addZfs(zfs, tree, kernel)
  await kernel.configure()
  await kernel.demand(
    'ZFS',
    'DM_THIN_PROVISIONING',
    'XFS_QUOTA',
    'OVERLAY_FS',
    'BTRFS_FS',
    'HOSTFS',
    'SECURITY_SELINUX',
    'CGROUP_BPF',
  )
  await kernel.make('linux')
  await execa('strip', ['-o', target, path.join(tree, 'linux')])
  return { linux: `${source} ${(await apt.version(source)) ?? ''}`, zfs: zfs.version }
}

interface ZfsSource {
  readonly directory: string
  readonly version: string
  /** The newest Linux that it builds for, as `major.minor`. */
  readonly maximum: string
}

async function unpackZfs(apt: PrivateApt, work: string): Promise<ZfsSource> {
  const root = path.join(work, 'zfs')
  await apt.unpack(['zfs-dkms'], root)
  const version = (await apt.version('zfs-dkms')) ?? ''
  const directory = path.join(root, 'usr/src', `zfs-${version.replace(/-.*/, '')}`)
  const meta = await readFile(path.join(directory, 'META'), 'utf8')
  const maximum = /^Linux-Maximum:\s*(\S+)$/m.exec(meta)?.[1]
  if (maximum === undefined) throw new Error(`${directory}/META does not say for which Linux it is`)
  return { directory, version, maximum }
}

/** By numbers, not by text: 6.12 is newer than 6.9. */
export function compareVersions(a: string, b: string): number {
  const [ours, theirs] = [a, b].map((text) => text.split('.').map(Number)) as [number[], number[]]
  return (ours[0] ?? 0) - (theirs[0] ?? 0) || (ours[1] ?? 0) - (theirs[1] ?? 0)
}

async function newestSource(apt: PrivateApt, maximum: string): Promise<string> {
  const versions = (await apt.namesLike('linux-source-'))
    .map((name) => /^linux-source-(\d+\.\d+)$/.exec(name)?.[1])
    .filter((version) => version !== undefined)
    .filter((version) => compareVersions(version, maximum) <= 0)
    .toSorted(compareVersions)
  const newest = versions.at(-1)
  if (newest === undefined) throw new Error(`no linux-source up to ${maximum} in these suites`)
  return `linux-source-${newest}`
}

async function unpackLinux(apt: PrivateApt, work: string, source: string): Promise<string> {
  const root = path.join(work, 'package')
  await apt.unpack([source], root)
  const archive = path.join(root, 'usr/src', `${source}.tar.xz`)
  const flags = leftOut.map((pattern) => `--exclude=${pattern}`)
  await execa('tar', ['--extract', '--xz', `--directory=${work}`, ...flags, `--file=${archive}`])
  return path.join(work, source)
}

/**
 * A thousand ticks a second instead of a hundred, which is no option of this architecture. The device mapper and ZFS wait
 * for some ticks at each step: a snapshot took 20 ms, all but one of them asleep.
 */
async function tickFaster(tree: string): Promise<void> {
  const file = path.join(tree, 'arch/um/Kconfig')
  const text = await readFile(file, 'utf8')
  const faster = text.replace(/^config HZ\n\tint\n\tdefault 100$/m, 'config HZ\n\tint\n\tdefault 1000')
  if (faster === text) throw new Error(`${file} says in another way how often the kernel ticks`)
  await writeFile(file, faster)
}

/** Puts the sources of ZFS into the kernel's, as its own script does it. */
async function addZfs({ directory, version }: ZfsSource, tree: string, kernel: Tree): Promise<void> {
  const flags = ['--with-config=kernel', '--enable-linux-builtin', '--enable-linux-experimental']
  const trees = [`--with-linux=${tree}`, `--with-linux-obj=${tree}`, 'KERNEL_ARCH=um']
  await kernel.run(directory, './configure', ...flags, ...trees)
  await kernel.run(directory, './copy-builtin', tree)
  // Only git writes it, and the package has none.
  const revision = path.join(tree, 'include/zfs/zfs_gitrev.h')
  await mkdir(path.dirname(revision), { recursive: true })
  await appendFile(revision, `#ifndef ZFS_META_GITREV\n#define ZFS_META_GITREV "zfs-${version}"\n#endif\n`)
}

/** A source tree of Linux. What its programs print goes to a log, which an error names. */
class Tree {
  readonly #directory: string
  readonly #log: string

  constructor(directory: string, log: string) {
    this.#directory = directory
    this.#log = log
  }

  make(...targets: readonly string[]): Promise<void> {
    return this.run(this.#directory, 'make', '-s', `-j${availableParallelism()}`, ...targets)
  }

  async configure(): Promise<void> {
    const own = path.join(this.#directory, 'guest.config')
    await copyFile(fragment, own)
    await this.run(this.#directory, './scripts/kconfig/merge_config.sh', '-m', '.config', own)
    await this.make('olddefconfig')
  }

  /** The configuration drops an option whose dependencies are missing, and says nothing. */
  async demand(...options: readonly string[]): Promise<void> {
    const lines = (await readFile(path.join(this.#directory, '.config'), 'utf8')).split('\n')
    const missing = options.filter((option) => !lines.includes(`CONFIG_${option}=y`))
    if (missing.length > 0)
      throw new Error(`the kernel's configuration came out without ${missing.join(', ')}`)
  }

  async run(cwd: string, program: string, ...args: readonly string[]): Promise<void> {
    const env = { ARCH: 'um', LC_ALL: 'C', KBUILD_BUILD_USER: 'lab', KBUILD_BUILD_HOST: 'lab' }
    const { all, exitCode, failed } = await execa(program, args, { cwd, env, all: true, reject: false })
    await writeFile(this.#log, `$ ${program} ${args.join(' ')}\n${all}\n`, { flag: 'a' })
    if (!failed) return
    const last = all.split('\n').slice(-20).join('\n')
    throw new Error(`${program} ${args.join(' ')} in ${cwd} ended with ${exitCode ?? 'a signal'}:\n${last}`)
  }
}
