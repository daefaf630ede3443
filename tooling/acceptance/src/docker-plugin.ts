/** `graphdriver docker-plugin` as a process of its own, under a name that no other test has. */
import { rm } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { execa } from 'execa'
import { program } from './graphdriver.ts'

export interface PluginProcess extends AsyncDisposable {
  /** What dockerd calls it. */
  readonly name: string
  /** What it has said on stderr. */
  readonly said: () => string
  readonly kill: (signal: 'SIGKILL' | 'SIGTERM') => Promise<void>
}

export async function startPlugin(driver: string, name: string): Promise<PluginProcess> {
  const plugin = execa(process.execPath, [program, 'docker-plugin', '--driver', driver, '--name', name], {
    reject: false,
    stdin: 'ignore',
  })
  let stderr = ''
  plugin.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString()
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  createInterface(plugin.stdout).on('line', () => resolve())
  void plugin.then(() => reject(new Error(`the plugin ended before it served: ${stderr}`)))
  await promise
  const kill: PluginProcess['kill'] = async (signal) => {
    plugin.kill(signal)
    await plugin
  }
  return {
    name,
    said: () => stderr,
    kill,
    async [Symbol.asyncDispose]() {
      await kill('SIGTERM')
      await rm(`/run/docker/plugins/${name}.sock.init`, { force: true })
    },
  }
}
