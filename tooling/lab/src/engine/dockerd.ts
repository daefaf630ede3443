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
  const log = await answering(daemon)
  return {
    socket,
    docker: async (...args) => {
      // The builder that is part of dockerd.
      const env = { DOCKER_BUILDKIT: '0' }
      const command = { stdin: 'ignore', reject: false, env } as const
      const { failed, stdout, stderr } = await execa('docker', ['--host', host, ...args], command)
      // Why is the first line, for whoever sees no more of a failed test.
      if (failed) throw new Error(`${stderr.trim()} (docker ${args.join(' ')})\n${log.join('\n')}`)
      return stdout
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

/**
 * Waits for the line that dockerd logs when it listens; it logs on, and is read on, so that it never blocks.
 *
 * @returns its last lines, at any time
 */
async function answering(daemon: Daemon): Promise<readonly string[]> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const last: string[] = []
  createInterface(daemon.all).on('line', (line) => {
    last.push(line)
    if (last.length > 30) last.shift()
    if (line.includes('API listen on')) resolve()
  })
  void daemon.then(({ all }) => {
    reject(new Error(`dockerd ended before it answered:\n${all}`))
  })
  await promise
  return last
}
