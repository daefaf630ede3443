/**
 * Guests: a kernel of our own for what this machine's lacks (device-mapper, ZFS, project quotas). It is an ordinary
 * program (user-mode Linux) that boots in a second or two, with the host's root as its own, read-only under a layer in
 * memory, so that programs, packages and this repository are there as they are here.
 */
import { chmod, copyFile, mkdir, open, readFile, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { execa } from 'execa'
import { cached, type CacheRecipe, isCached } from '../cache.ts'
import { filesystem } from '../filesystem.ts'
import { need, type Requirement } from '../requirement.ts'
import { passingRoom, takeRoom } from './room.ts'

/** What building one takes, in the terms of `need`; the kernel takes a quarter of an hour, once. */
export const guestRequirements: readonly Requirement[] = [
  { root: true },
  ...[
    'apt-get',
    'bc',
    'bison',
    'flex',
    'flock',
    'gcc',
    'make',
    'perl',
    'python3',
    'setpriv',
    'taskset',
    'xz',
  ].map((command) => ({ command })),
]

const guestFilesystems = ['ext4', 'xfs', 'btrfs'] as const
export type GuestFilesystem = (typeof guestFilesystems)[number]

export function isGuestFilesystem(name: string): name is GuestFilesystem {
  return guestFilesystems.some((known) => known === name)
}

/** A filesystem of the guest's for temporary files: the root's is the host's, which knows no devices or owners. */
export interface GuestScratch {
  readonly filesystem: GuestFilesystem
  /** Sparse, so only what is written takes memory. */
  readonly sizeMiB: number
  readonly mkfsOptions?: readonly string[] | undefined
  readonly mountOptions?: readonly string[] | undefined
}

export interface GuestRequest {
  /** Runs as root, in the present directory. */
  readonly command: readonly [program: string, ...args: string[]]
  readonly cwd?: string | undefined
  /** Beside `PATH` and `HOME`. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Directories of the host in which the guest may write. */
  readonly writable?: readonly string[] | undefined
  /** Where its temporary files go; by default an ext4. */
  readonly scratch?: GuestScratch | undefined
  /** Blank block devices: `/dev/ubdb`, `/dev/ubdc`, … */
  readonly disks?: readonly { readonly sizeMiB: number }[] | undefined
  /** With SELinux, enforcing the policy of `policy.cil`. */
  readonly selinux?: boolean | undefined
  /** 3072 by default. */
  readonly memoryMiB?: number | undefined
  /** Whether it waits until there is room for one that takes long, among all of that sort. */
  readonly waits?: boolean | undefined
  /** Hears what the command writes to its standard output as it does. */
  readonly onOutput?: ((text: string) => void) | undefined
  /** After which it is ended; by default ten minutes. */
  readonly seconds?: number | undefined
  readonly signal?: AbortSignal | undefined
}

export interface GuestResult {
  /** That of the command. */
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

const recipe: CacheRecipe = {
  files: ['cache.ts', 'guest/{apt,build,kernel,zfs-tools}.ts', 'guest/kernel.config'],
  program: path.join(import.meta.dirname, 'build.ts'),
}

const standardScratch: GuestScratch = { filesystem: 'ext4', sizeMiB: 4096 }

/** Why there can be no guest here, or what else is missing. It says how the kernel is built, and does not do it by the way. */
export async function missingGuest(...requirements: readonly Requirement[]): Promise<string | undefined> {
  const missing = need(...guestRequirements, ...requirements)
  if (missing !== undefined || (await isGuestBuilt())) return missing
  return 'the kernel of the guests is not built: node tooling/lab/src/guest/prepare.ts'
}

/** Whether a guest starts in a second, or in the quarter of an hour that its kernel takes to build. */
function isGuestBuilt(): Promise<boolean> {
  return isCached(recipe)
}

/** The directory with the kernel (`linux`) and the zfs programs (`tools/bin`), built now if need be. */
export function guestSystem(): Promise<string> {
  return cached(recipe)
}

/**
 * Runs a command in a guest of its own, which does not outlive this process.
 *
 * @throws Error with the guest's last words when it died before the command had ended, or had no time left
 */
export async function runInGuest(request: GuestRequest): Promise<GuestResult> {
  const system = await guestSystem()
  await allowMappings()
  using room = await (request.waits === true ? takeRoom(request.signal) : passingRoom())
  const { memoryMiB = 3072, scratch = standardScratch, disks = [], seconds = 600, signal } = request
  const { selinux = false } = request
  const sizes = [scratch.sizeMiB, ...disks.map(({ sizeMiB }) => sizeMiB)]
  // The guest's memory is a file, and so are its disks.
  const total = memoryMiB + sizes.reduce((sum, size) => sum + size, 0)
  await using memory = await filesystem('tmpfs', { sizeMiB: total + 64 })
  const at = (name: string): string => path.join(memory.path, name)
  await mkdir(at('job'))
  await copyFile(path.join(import.meta.dirname, 'init.sh'), at('init'))
  await chmod(at('init'), 0o755)
  for (const [index, size] of sizes.entries()) {
    await using disk = await open(at(`disk${index}`), 'wx', 0o600)
    await disk.truncate(size * 1024 * 1024)
  }
  await writeFile(at('job/job.sh'), script({ ...request, scratch }, path.join(system, 'tools/bin')))
  if (selinux) {
    const files = ['--output', at('job/policy'), '--filecontext', at('contexts')]
    await execa('secilc', [...files, path.join(import.meta.dirname, 'policy.cil')])
  }
  const kernel = [
    `mem=${memoryMiB}M`,
    'root=/dev/root',
    'rootfstype=hostfs',
    'rootflags=/',
    'ro',
    `init=${at('init')}`,
    `job=${at('job')}`,
    `uml_dir=${memory.path}/`,
    // Told apart by who started it.
    `umid=guest-${process.pid}`,
    'con=null',
    'con0=null,fd:3',
    'con1=null,fd:1',
    'con2=null,fd:2',
    `selinux=${Number(selinux)}`,
    'enforcing=1',
    'panic=-1',
    'noreboot',
    'seccomp=auto',
    // Waiting out a grace period takes a tenth of a second here, and removing a device is some of them.
    'rcupdate.rcu_expedited=1',
    'rcutree.jiffies_till_first_fqs=0',
    'rcutree.jiffies_till_next_fqs=1',
    // What ZFS has counted, tests wait for: five seconds, by default.
    'zfs.zfs_txg_timeout=1',
    ...sizes.map((_, index) => `ubd${index}t=${at(`disk${index}`)}`),
  ]
  // It ends with this process, however that ends; its own processes end with it.
  const words = ['--pdeathsig', 'KILL', '--', path.join(system, 'linux'), ...kernel]
  // Kernel and program are two processes that wait for each other at each system call: apart, they are half as fast.
  const guest = execa('taskset', ['--cpu-list', String(room.processor), 'setpriv', ...words], {
    // A group of its own, of which nothing is to be left.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe', { file: at('console') }],
    env: { TMPDIR: memory.path },
    timeout: seconds * 1000,
    killSignal: 'SIGKILL',
    stripFinalNewline: false,
    reject: false,
    ...(signal === undefined ? {} : { cancelSignal: signal }),
  })
  if (request.onOutput !== undefined) guest.stdout.setEncoding('utf8').on('data', request.onOutput)
  const ended = await guest
  await endGroup(guest.pid)
  signal?.throwIfAborted()
  const status = await readFile(at('job/status'), 'utf8').catch(() => undefined)
  if (status === undefined || ended.timedOut) {
    const how = ended.timedOut ? `was ended after ${seconds} s` : 'died'
    throw new Error(`the guest ${how}: ${await lastWords(at('console'), ended)}`)
  }
  return { exitCode: Number(status), stdout: ended.stdout, stderr: withoutBoot(ended.stderr) }
}

/** The processes of a guest that has died end on their own, but not at once. */
async function endGroup(pid: number | undefined): Promise<void> {
  if (pid === undefined) return
  for (let left = true; left; await setTimeout(10)) {
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      left = false
    }
  }
}

async function lastWords(
  console: string,
  { stdout, stderr }: { readonly stdout: string; readonly stderr: string },
): Promise<string> {
  const said = [await readFile(console, 'utf8'), stderr, stdout]
  return said.map((text) => `\n${text.split('\n').slice(-60).join('\n')}`).join('')
}

/** What the kernel says to its own standard error before and after it is one. */
function withoutBoot(stderr: string): string {
  const boot = /^(?:Checking |Core dump limits|\s*(?:soft|hard) - |\[?2?\s?mmapper|epollctl add err)/
  return stderr
    .split('\n')
    .filter((line) => !boot.test(line))
    .join('\n')
    .replace(/\n*$/, '\n')
    .replace(/^\n$/, '')
}

/**
 * Each run of pages of a guest's process is a mapping of the host's. Past the host's bound (by default good for a
 * process of some 250 MB) the process faults for ever on one page.
 */
async function allowMappings(): Promise<void> {
  const file = '/proc/sys/vm/max_map_count'
  const wanted = 1_048_576
  if (Number(await readFile(file, 'utf8')) < wanted) await writeFile(file, String(wanted))
}

function quote(word: string): string {
  return `'${word.replaceAll("'", String.raw`'\''`)}'`
}

/** What the guest's first process runs when the guest stands. */
function script(
  {
    command,
    cwd = process.cwd(),
    env = {},
    writable = [],
    scratch,
  }: GuestRequest & { scratch: GuestScratch },
  tools: string,
): string {
  const { filesystem: kind, mkfsOptions = [], mountOptions = [] } = scratch
  const options = mountOptions.length === 0 ? [] : ['-o', mountOptions.join(',')]
  const variables = {
    HOME: '/root',
    LANG: 'C.UTF-8',
    DM_DISABLE_UDEV: '1',
    TMPDIR: '/mnt/scratch/tmp',
    ...env,
  }
  const lines = [
    'set -e',
    // A user-mode kernel and the rings of io_uring, of which Node has some, do not agree about pages.
    'echo 2 >/proc/sys/kernel/io_uring_disabled',
    ...writable.map((directory) => `mount -t hostfs -o ${quote(directory)} none ${quote(directory)}`),
    'mkdir /mnt/scratch',
    [`mkfs.${kind}`, '-q', ...mkfsOptions, '/dev/ubda'].map(quote).join(' '),
    ['mount', '-t', kind, ...options, '/dev/ubda', '/mnt/scratch'].map(quote).join(' '),
    'mkdir -m 1777 /mnt/scratch/tmp',
    `export PATH=${quote(`${process.env['PATH'] ?? ''}:${tools}`)}`,
    ...Object.entries(variables).map(([name, value]) => `export ${name}=${quote(value)}`),
    `cd ${quote(cwd)}`,
    `exec ${command.map(quote).join(' ')}`,
  ]
  return `${lines.join('\n')}\n`
}
