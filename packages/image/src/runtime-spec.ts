/**
 * The part of an OCI runtime configuration that a bundle made here has.
 *
 * @see https://github.com/opencontainers/runtime-spec/blob/v1.0.2/config.md
 */
export interface RuntimeSpec {
  readonly ociVersion: '1.0.2'
  readonly process: RuntimeProcess
  readonly root: { readonly path: string; readonly readonly: boolean }
  readonly hostname?: string
  readonly mounts: readonly RuntimeMount[]
  readonly linux: RuntimeLinux
}

export interface RuntimeProcess {
  readonly terminal: boolean
  readonly user: RuntimeUser
  readonly args: readonly string[]
  readonly env: readonly string[]
  readonly cwd: string
  readonly capabilities: {
    readonly bounding: readonly string[]
    readonly effective: readonly string[]
    readonly permitted: readonly string[]
  }
  readonly noNewPrivileges: boolean
}

export interface RuntimeUser {
  readonly uid: number
  readonly gid: number
  readonly additionalGids?: readonly number[]
}

export interface RuntimeMount {
  readonly destination: string
  readonly type: string
  readonly source: string
  readonly options: readonly string[]
}

export interface RuntimeLinux {
  readonly namespaces: readonly { readonly type: NamespaceType }[]
  readonly uidMappings?: readonly IdMapping[]
  readonly gidMappings?: readonly IdMapping[]
  readonly resources?: { readonly devices: readonly DeviceRule[] }
  readonly maskedPaths: readonly string[]
  readonly readonlyPaths: readonly string[]
}

export type NamespaceType = 'pid' | 'mount' | 'ipc' | 'uts' | 'user'

export interface IdMapping {
  readonly containerID: number
  readonly hostID: number
  readonly size: number
}

export interface DeviceRule {
  readonly allow: boolean
  readonly type?: 'a' | 'b' | 'c'
  readonly major?: number
  readonly minor?: number
  readonly access: string
}
