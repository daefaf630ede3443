/** What the kernel, the user and the installed programs are good for, whatever the data root. */
import { accessSync, constants, existsSync } from 'node:fs'
import { release } from 'node:os'
import {
  close,
  FastInflate,
  findCommand,
  fsopen,
  hasCapability,
  hasSelinux,
  idMaps,
  kernelVersion,
} from '@graphdriver/sys'
import { findRuntime, runtimeNames } from '../runtime/choose-runtime.ts'
import { forbiddingSwitch, isReentered, readText } from '../user-namespace.ts'
import { type Fact, no, tried, yes } from './fact.ts'

export function hostFacts(refusal: string | undefined): readonly Fact[] {
  return [
    kernel(),
    user(refusal),
    userNamespaces(),
    subordinateIds(),
    filesystemType('overlayfs', 'overlay', 'load its module with: modprobe overlay'),
    mountApi(),
    device('fuse', '/dev/fuse', 'FUSE', 'load its module with: modprobe fuse'),
    fuseOverlayfs(),
    device(
      'devicemapper',
      '/dev/mapper/control',
      'device-mapper',
      'load its module with: modprobe dm_thin_pool',
    ),
    device('zfs', '/dev/zfs', 'ZFS', 'install ZFS (Debian: zfs-dkms, zfsutils-linux), and load its module'),
    selinux(),
    inflate(),
    runtimes(),
  ]
}

/** openat2 is what untrusted paths are resolved by. */
function kernel(): Fact {
  const { major, minor } = kernelVersion()
  const [id, title] = ['kernel', 'Linux 5.6 or later']
  if (major > 5 || (major === 5 && minor >= 6)) return yes(id, title, release())
  return no(id, title, `${process.platform} ${release()}`, 'use a newer kernel')
}

function user(refusal: string | undefined): Fact {
  const [id, title] = ['privileges', 'may mount']
  if (refusal !== undefined) return no(id, title, refusal)
  if (!hasCapability('CAP_SYS_ADMIN'))
    return no(
      id,
      title,
      'root without CAP_SYS_ADMIN',
      'run it where mounting is allowed: a container may forbid it',
    )
  const ids = idMaps().uids.reduce((sum, { count }) => sum + count, 0)
  return yes(id, title, isReentered() ? `in a user namespace with ${ids} ids` : 'as root')
}

function userNamespaces(): Fact {
  const [id, title] = ['user-namespaces', 'user namespaces for ordinary users']
  if (!existsSync('/proc/self/ns/user'))
    return no(id, title, 'the kernel has none', 'use one with CONFIG_USER_NS')
  const found = forbiddingSwitch()
  if (found !== undefined)
    return no(id, title, `${found.name} is ${found.forbids}`, `sysctl ${found.name}=${found.allows}`)
  return yes(id, title)
}

/** Of which users have any: the file says it of all. */
function subordinateIds(): Fact {
  const [id, title] = ['subordinate-ids', 'ranges of user ids for ordinary users']
  const remedy =
    'install newuidmap (Debian: uidmap), and add lines such as USER:100000:65536 to /etc/subuid and /etc/subgid'
  const lacking = ['newuidmap', 'newgidmap'].find((command) => findCommand(command) === undefined)
  if (lacking !== undefined) return no(id, title, `${lacking} is not installed`, remedy)
  const lines = (readText('/etc/subuid') ?? '').split('\n').filter((line) => /^[^#:]+:\d+:\d+$/.test(line))
  if (lines.length === 0) return no(id, title, '/etc/subuid has none', remedy)
  return yes(id, title, `for ${lines.map((line) => line.split(':', 1)[0]).join(', ')}`)
}

function filesystemType(id: string, type: string, remedy: string): Fact {
  const title = `${type} in the kernel`
  const known =
    readText('/proc/filesystems')
      ?.split('\n')
      .some((line) => line.endsWith(`\t${type}`)) ?? false
  return known ? yes(id, title) : no(id, title, '/proc/filesystems does not have it', remedy)
}

function mountApi(): Fact {
  return tried(
    'mount-api',
    'the mount API, by which stacks may be deep',
    () => close(fsopen('tmpfs')),
    'use Linux 5.2 or later, and a seccomp filter that lets fsopen through',
  )
}

function device(id: string, file: string, what: string, remedy: string): Fact {
  const title = `${what} in the kernel, and its device`
  try {
    accessSync(file, constants.R_OK | constants.W_OK)
    return yes(id, title, file)
  } catch {
    return no(id, title, existsSync(file) ? `${file} cannot be opened` : `${file} is not there`, remedy)
  }
}

function fuseOverlayfs(): Fact {
  const [id, title] = ['fuse-overlayfs', 'fuse-overlayfs, where the kernel lets no user mount overlays']
  const found = findCommand('fuse-overlayfs')
  return found === undefined
    ? no(id, title, 'it is not installed', 'install it (Debian: fuse-overlayfs)')
    : yes(id, title, found)
}

function selinux(): Fact {
  const [id, title] = ['selinux', 'SELinux, by which mounts are labelled']
  return hasSelinux() ? yes(id, title) : no(id, title, 'it is off')
}

function inflate(): Fact {
  const [id, title] = ['isal', 'ISA-L, which inflates twice as fast as zlib']
  return FastInflate.create() === undefined
    ? no(id, title, 'libisal.so.2 is not installed', 'install it (Debian: libisal2)')
    : yes(id, title)
}

function runtimes(): Fact {
  const [id, title] = ['runtimes', 'a runtime for containers']
  const found = runtimeNames.flatMap((name) => (findRuntime(name) === undefined ? [] : [name]))
  return found.length === 0
    ? no(id, title, 'neither runc nor crun nor unshare is installed', 'install one (Debian: crun)')
    : yes(id, title, found.join(', '))
}
