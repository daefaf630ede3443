/**
 * What Docker gives a container that asks for nothing.
 *
 * @see https://github.com/moby/moby/blob/v24.0.9/oci/defaults.go and oci/caps/defaults.go
 */
import type { DeviceRule, RuntimeMount } from './runtime-spec.ts'

/** Enough for a package manager and a server on a low port; not enough to touch the host. */
export const defaultCapabilities: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
]

/** Files of the kernel that tell of the host or change it. */
export const maskedPaths: readonly string[] = [
  '/proc/asound',
  '/proc/acpi',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
]

export const readonlyPaths: readonly string[] = [
  '/proc/bus',
  '/proc/fs',
  '/proc/irq',
  '/proc/sys',
  '/proc/sysrq-trigger',
]

/** No device but those that the runtime itself adds: null, zero, full, random, urandom, tty, console, ptmx, pts. */
export const deviceRules: readonly DeviceRule[] = [
  { allow: false, access: 'rwm' },
  // Making a node is not opening it.
  { allow: true, type: 'c', access: 'm' },
  { allow: true, type: 'b', access: 'm' },
]

const closed = ['nosuid', 'noexec', 'nodev']

export function defaultMounts(unprivileged: boolean): readonly RuntimeMount[] {
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: closed },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      // Group 5 is tty by convention; in a user namespace nothing may stand behind the number.
      options: [
        'nosuid',
        'noexec',
        'newinstance',
        'ptmxmode=0666',
        'mode=0620',
        ...(unprivileged ? [] : ['gid=5']),
      ],
    },
    {
      destination: '/dev/shm',
      type: 'tmpfs',
      source: 'shm',
      options: [...closed, 'mode=1777', 'size=65536k'],
    },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: closed },
    ...(unprivileged ? boundSysfs : sysfs),
  ]
}

const sysfs: readonly RuntimeMount[] = [
  { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...closed, 'ro'] },
  { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: [...closed, 'relatime', 'ro'] },
]

/** A new sysfs may be mounted only by who owns the network namespace, and here it is the host's. */
const boundSysfs: readonly RuntimeMount[] = [
  { destination: '/sys', type: 'none', source: '/sys', options: ['rbind', ...closed, 'ro'] },
]
