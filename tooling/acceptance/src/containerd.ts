/** A real containerd of a case's own, with a snapshotter of ours as its proxy plugin. */
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { execa } from 'execa'
import { type ServingProcess, startServing } from './serving-process.ts'

/** What containerd calls the snapshotter. */
export const snapshotter = 'graphdriver'

export interface Containerd extends AsyncDisposable {
  /** Runs the ctr command against this daemon. */
  readonly ctr: (...args: readonly string[]) => Promise<string>
  /** The names in the tar of what a snapshot changes. */
  readonly diff: (key: string) => Promise<readonly string[]>
}

/** Starts containerd in a directory, and waits until it answers. */
export async function startContainerd(directory: string, socket: string): Promise<Containerd> {
  await mkdir(directory, { recursive: true })
  const address = path.join(directory, 'containerd.sock')
  const config = path.join(directory, 'config.toml')
  await writeFile(
    config,
    `version = 2
root = "${directory}/root"
state = "${directory}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
address = "${address}"
[ttrpc]
address = "${address}.ttrpc"
[proxy_plugins.${snapshotter}]
type = "snapshot"
address = "${socket}"
`,
  )
  const daemon = execa('containerd', ['--config', config], { all: true, reject: false, stdin: 'ignore' })
  const ctr: Containerd['ctr'] = async (...args) =>
    (await execa('ctr', ['--address', address, ...args], { stdin: 'ignore' })).stdout
  for (let tries = 100; ; tries--) {
    try {
      await ctr('version')
      break
    } catch (error) {
      if (tries === 0) throw error
      await setTimeout(100)
    }
  }
  return {
    ctr,
    async diff(key) {
      const args = ['--address', address, 'snapshots', '--snapshotter', snapshotter, 'diff', key]
      const { stdout } = await execa('ctr', args, { stdin: 'ignore' }).pipe('tar', ['--list', '--gzip'])
      return stdout.split('\n')
    },
    async [Symbol.asyncDispose]() {
      daemon.kill('SIGTERM')
      await daemon
    },
  }
}

/** `graphdriver containerd-snapshotter` as a process of its own. */
export function startSnapshotter(driver: string, root: string, socket: string): Promise<ServingProcess> {
  return startServing('containerd-snapshotter', '--driver', driver, '--root', root, '--socket', socket)
}
