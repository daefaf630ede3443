import type { RuntimeSpec } from '@graphdriver/image'

/** What is to run: an OCI bundle, and a name for it. */
export interface Container {
  /** Unique on this host. */
  readonly id: string
  /** The directory with `config.json`. */
  readonly bundle: string
  readonly spec: RuntimeSpec
  /** A directory for the runtime's own notes, of this container only. */
  readonly state: string
}

/** A container's process, which has our stdin, stdout and stderr. */
export interface RunningContainer {
  /** The process's exit code; 128 + n when signal n ended it. Rejects with `RuntimeFailure` when it never ran. */
  readonly exit: Promise<number>
  /** Hands a signal on to the process. */
  signal(signal: NodeJS.Signals): Promise<void>
}

/** A way to run containers. */
export interface ContainerRuntime {
  /** `runc`, `crun` or `chroot`. */
  readonly name: string
  /** Whether it makes the user namespace that a configuration has. */
  readonly mapsUsers: boolean
  /** Prepares the container and throws it away again, without its process. @returns why that failed, if it did */
  trial(container: Container): Promise<string | undefined>
  start(container: Container): Promise<RunningContainer>
}

/** The runtime failed, not the process in the container. */
export class RuntimeFailure extends Error {
  override readonly name = 'RuntimeFailure'
}
