/** `graphdriver docker-plugin` as a process of its own, under a name that no other test has. */
import { rm } from 'node:fs/promises'
import { type ServingProcess, startServing } from './serving-process.ts'

export interface PluginProcess extends ServingProcess {
  /** What dockerd calls it. */
  readonly name: string
}

export async function startPlugin(driver: string, name: string): Promise<PluginProcess> {
  const { kill } = await startServing('docker-plugin', '--driver', driver, '--name', name)
  return {
    name,
    kill,
    async [Symbol.asyncDispose]() {
      await kill('SIGTERM')
      await rm(`/run/docker/plugins/${name}.sock.init`, { force: true })
    },
  }
}
