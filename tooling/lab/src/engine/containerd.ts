/** A real containerd of a case's or a benchmark's own, perhaps with a snapshotter of ours as its proxy plugin. */
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { execa } from 'execa'

/** What containerd calls the snapshotter of ours. */
export const snapshotter = 'graphdriver'

export interface Containerd extends AsyncDisposable {
  /** Of its API. */
  readonly socket: string
  /** Runs the ctr command against this daemon. */
  readonly ctr: (...args: readonly string[]) => Promise<string>
  /** The names in the tar of what a snapshot changes. */
  readonly diff: (key: string) => Promise<readonly string[]>
}

/**
 * Starts containerd in a directory, and waits until it answers.
 *
 * @param plugin the socket of a snapshotter
 */
export async function startContainerd(directory: string, plugin?: string): Promise<Containerd> {
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
${plugin === undefined ? '' : proxyPlugin(plugin)}`,
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
    socket: address,
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

function proxyPlugin(address: string): string {
  return `[proxy_plugins.${snapshotter}]\ntype = "snapshot"\naddress = "${address}"\n`
}
