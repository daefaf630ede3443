import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import {
  defaultCapabilities,
  defaultMounts,
  deviceRules,
  maskedPaths,
  readonlyPaths,
} from './container-defaults.ts'
import type { ImageConfig } from './image-config.ts'
import { processArguments } from './process-arguments.ts'
import { processEnvironment } from './process-environment.ts'
import { processUser } from './process-user.ts'
import type { IdMapping, NamespaceType, RuntimeMount, RuntimeProcess, RuntimeSpec } from './runtime-spec.ts'

export interface BundleOptions {
  /** The mounted root filesystem. */
  readonly rootfs: string
  readonly config: ImageConfig
  /** Replace the image's command, not its entry point. */
  readonly args?: readonly string[] | undefined
  /** `NAME=value`, over those of the image; a `NAME` alone takes the image's away. */
  readonly env?: readonly string[] | undefined
  readonly cwd?: string | undefined
  /** As in an image config: `user`, `uid`, `user:group` … */
  readonly user?: string | undefined
  readonly hostname?: string | undefined
  readonly terminal?: boolean | undefined
  /** The process cannot write to its root filesystem. */
  readonly readonly?: boolean | undefined
  /** After the usual ones. */
  readonly mounts?: readonly RuntimeMount[] | undefined
  /**
   * For a runtime without the host's root privileges: nothing is mounted that a user namespace may not mount, and no
   * cgroup is limited. With maps the runtime makes the user namespace, with `true` it is in one already.
   */
  readonly rootless?: UserNamespaceMaps | boolean | undefined
}

export interface UserNamespaceMaps {
  readonly uidMap: readonly IdMapping[]
  readonly gidMap: readonly IdMapping[]
  /** The runtime is run by root, who may set groups there. */
  readonly byRoot?: boolean | undefined
}

/**
 * Writes an OCI runtime bundle: a directory with the `config.json` that runc, crun and others run.
 *
 * The process gets namespaces of its own but for the network, which is the host's: nothing here sets up interfaces,
 * and a namespace without any would cut it off.
 *
 * @throws GD_PROCESS_INVALID
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.0.2/bundle.md
 */
export async function writeBundle(directory: string, options: BundleOptions): Promise<RuntimeSpec> {
  const spec = runtimeSpec(options)
  await mkdir(directory, { recursive: true, mode: 0o700 })
  await writeFile(path.join(directory, 'config.json'), `${JSON.stringify(spec, undefined, 2)}\n`, {
    mode: 0o600,
  })
  return spec
}

function runtimeSpec(options: BundleOptions): RuntimeSpec {
  const { rootless = false, hostname } = options
  const unprivileged = rootless !== false
  const maps = typeof rootless === 'object' ? rootless : undefined
  const namespaces: NamespaceType[] = ['pid', 'mount', 'ipc', 'uts']
  if (maps !== undefined) namespaces.push('user')
  return {
    ociVersion: '1.0.2',
    process: runtimeProcess(options),
    root: { path: path.resolve(options.rootfs), readonly: options.readonly ?? false },
    ...(hostname === undefined ? {} : { hostname }),
    mounts: [...defaultMounts(unprivileged), ...(options.mounts ?? [])],
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      ...(maps === undefined ? {} : { uidMappings: maps.uidMap, gidMappings: maps.gidMap }),
      ...(unprivileged ? {} : { resources: { devices: deviceRules } }),
      maskedPaths,
      readonlyPaths,
    },
  }
}

function runtimeProcess(options: BundleOptions): RuntimeProcess {
  const { config, rootfs, terminal = false, hostname } = options
  const { home, additionalGids, ...ids } = processUser(rootfs, options.user ?? config.config.User ?? '')
  // Who is not root cannot set groups of a user namespace it makes (user_namespaces(7)); runc refuses to try.
  const mayGroup = typeof options.rootless !== 'object' || options.rootless.byRoot === true
  const grouped = additionalGids !== undefined && mayGroup
  const user = grouped ? { ...ids, additionalGids } : ids
  return {
    terminal,
    user,
    args: processArguments(config, options.args),
    env: processEnvironment(config, { env: options.env, hostname, home, terminal }),
    cwd: path.posix.resolve('/', options.cwd ?? config.config.WorkingDir ?? '/'),
    capabilities: {
      bounding: defaultCapabilities,
      effective: defaultCapabilities,
      permitted: defaultCapabilities,
    },
    noNewPrivileges: false,
  }
}
