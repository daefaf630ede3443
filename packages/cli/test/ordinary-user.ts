import { spawnSync } from 'node:child_process'
import { chownSync } from 'node:fs'
import { need, temporaryDirectory } from '@tooling/lab'
import { type CallOptions, demoImage, program } from './graphdriver.ts'

/** Somebody whom no system knows. */
const id = 54_242

const becomeSomebody = ['setpriv', '--reuid', String(id), '--regid', String(id), '--clear-groups', '--']

/** Tests run by an ordinary user are by one already. */
const under = process.geteuid?.() === 0 ? becomeSomebody : []

/** How to call the command as an ordinary user with a home of their own. */
export async function asOrdinaryUser(): Promise<CallOptions & { readonly home: string } & AsyncDisposable> {
  const directory = await temporaryDirectory()
  if (under.length > 0) chownSync(directory.path, id, id)
  return {
    home: directory.path,
    under,
    cwd: directory.path,
    env: { HOME: directory.path, XDG_DATA_HOME: '', TMPDIR: directory.path },
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  }
}

/**
 * The same on a system that lets everybody have the FUSE device, as distributions do: in a mount namespace of its own.
 *
 * @param fuse a device node that everybody may open
 */
export function withFuse<T extends CallOptions>(user: T, fuse: string): T {
  const script = 'mount --bind "$0" /dev/fuse && exec "$@"'
  return { ...user, under: ['unshare', '--mount', 'sh', '-c', script, fuse, ...(user.under ?? [])] }
}

/** Why there is no ordinary user here who could do anything. */
export function whyNoOrdinaryUser(): string | undefined {
  const missing = need(
    { command: 'setpriv', package: 'util-linux' },
    { command: 'unshare', package: 'util-linux' },
  )
  if (missing !== undefined) return missing
  const [test, ...args] = [
    ...under,
    'test',
    '-r',
    program,
    '-a',
    '-r',
    demoImage,
    '-a',
    '-x',
    process.execPath,
  ]
  return spawnSync(test, args).status === 0 ? undefined : 'needs a checkout that everybody may read'
}

/** Why an ordinary user cannot have a user namespace here. */
export function whyNoUserNamespace(): string | undefined {
  const [command, ...args] = [...under, 'unshare', '--user', '--map-root-user', '--mount', 'true']
  return whyNoOrdinaryUser() ?? (spawnSync(command, args).status === 0 ? undefined : 'needs user namespaces')
}

/**
 * Runs its arguments in a user namespace in which everybody is who they are outside, and that allows no others
 * below it.
 */
export const withoutUserNamespaces = `
  unshare --user sh -c '
    while [ "$(id -u)" != 0 ]; do :; done
    exec sh -c "echo 0 >/proc/sys/user/max_user_namespaces; exec \\"\\$@\\"" sh "$@"' sh "$@" &
  child=$!
  while [ "$(readlink /proc/$child/ns/user)" = "$(readlink /proc/self/ns/user)" ]; do :; done
  echo 0 0 100000 >/proc/$child/uid_map
  echo 0 0 100000 >/proc/$child/gid_map
  wait $child`
