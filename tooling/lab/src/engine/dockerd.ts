/** A real Docker daemon of a case's or a benchmark's own: its own socket, state and root, and no network. */
import path from 'node:path'
import { createInterface } from 'node:readline'
import { detach, isMountPoint } from '@graphdriver/sys'
import { type ResultPromise, execa } from 'execa'

export interface Docker extends AsyncDisposable {
  /** Runs the docker command against this daemon. */
  readonly docker: (...args: readonly string[]) => Promise<string>
  /** Of its API, without a scheme. */
  readonly socket: string
}

/** Where a daemon keeps its data, and by what driver. */
export interface EnginePlace {
  readonly root: string
  readonly driver: string
}

/**
 * Starts dockerd on a data root and waits until it answers. `state` is a directory for what is not data.
 *
 * @param more options of dockerd
 */
export async function startDocker(
  { root, driver }: EnginePlace,
  state: string,
  ...more: readonly string[]
): Promise<Docker> {
  const socket = path.join(state, 'socket')
  const host = `unix://${socket}`
  const daemon = execa(
    'dockerd',
    [
      `--data-root=${root}`,
      `--storage-driver=${driver}`,
      `--exec-root=${path.join(state, 'exec')}`,
      `--pidfile=${path.join(state, 'pid')}`,
      `--host=${host}`,
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
      ...more,
    ],
    settings,
  )
  await answering(daemon)
  return {
    socket,
    docker: async (...args) => {
      // The builder that is part of dockerd.
      const env = { DOCKER_BUILDKIT: '0' }
      return (await execa('docker', ['--host', host, ...args], { stdin: 'ignore', env })).stdout
    },
    async [Symbol.asyncDispose]() {
      daemon.kill('SIGTERM')
      await daemon
    },
  }
}

/** With plugins dockerd binds its root to itself, to share what is mounted there, and leaves it so when it ends. */
export function boundRoot(root: string): Disposable {
  return {
    [Symbol.dispose]() {
      if (isMountPoint(root)) detach(root)
    },
  }
}

const settings = { all: true, reject: false, stdin: 'ignore' } as const
type Daemon = ResultPromise<typeof settings>

/** Waits for the line that dockerd logs when it listens; it logs on, and is read on, so that it never blocks. */
async function answering(daemon: Daemon): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  createInterface(daemon.all).on('line', (line) => {
    if (line.includes('API listen on')) resolve()
  })
  void daemon.then(({ all }) => {
    reject(new Error(`dockerd ended before it answered:\n${all}`))
  })
  await promise
}
