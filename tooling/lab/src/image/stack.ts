/** The directories in which the image grows: one upper directory per layer, stacked by overlay mounts. */
import { mkdir } from 'node:fs/promises'
import { command } from '@graphdriver/core/conformance'
import type { Distribution } from './distribution.ts'

/**
 * Runs in mount and pid namespaces of its own, so that neither a mount nor a process can outlive it, whatever
 * happens. Arguments: the overlay options, the mount point, then the program.
 */
const inside = `
mount -t overlay -o "$1" overlay "$2"
mount -t proc proc "$2/proc"
test -e "$2/etc/resolv.conf" && mount --bind /etc/resolv.conf "$2/etc/resolv.conf"
root=$2
shift 2
# The directory for it is not in there.
unset TMPDIR
exec chroot "$root" "$@"
`
const isolation = ['--mount', '--pid', '--fork', '--kill-child', '--']

/** Each change of a file is to be a whole new file, as every reader of layers expects. */
const plainOverlay = 'redirect_dir=off,metacopy=off,index=off'

/** Makes a Debian root filesystem in a new directory. */
export async function bootstrap(upper: string, distribution: Distribution): Promise<void> {
  const { suite, mirror } = distribution
  await command('mmdebstrap', [
    '--mode=root',
    '--quiet',
    '--variant=minbase',
    '--format=directory',
    '--dpkgopt=force-unsafe-io',
    '--customize-hook=touch "$1/etc/resolv.conf"',
    suite,
    upper,
    ...(mirror === undefined ? [] : [mirror]),
  ])
}

/** Runs a program over the layers so far, base first; what it changes is then in `upper`. */
export async function runInLayer(
  lowers: readonly string[],
  upper: string,
  program: readonly string[],
): Promise<void> {
  const [work, merged] = [`${upper}.work`, `${upper}.merged`]
  for (const directory of [upper, work, merged]) await mkdir(directory)
  const lower = lowers.toReversed().join(':')
  const options = `lowerdir=${lower},upperdir=${upper},workdir=${work},${plainOverlay}`
  await command('unshare', [...isolation, 'sh', '-ec', inside, 'sh', options, merged, ...program])
}
