import { loadDriver } from '@graphdriver/core'
import { servePlugin } from '@graphdriver/docker-plugin'
import { describeFailure, UsageError } from '../failure.ts'
import type { Invocation } from '../invocation.ts'
import { requireServing, untilEnded } from '../serving.ts'

export interface DockerPluginFlags {
  readonly name?: string
  readonly socket?: string
}

/**
 * `graphdriver docker-plugin --driver NAME`: serves a driver to dockerd until it is told to end. What is mounted then
 * stays mounted, for containers that run on.
 */
export async function dockerPlugin(invocation: Invocation, flags: DockerPluginFlags): Promise<void> {
  const { settings, log, output, signal } = invocation
  const { driver, driverOptions } = settings
  if (driver === undefined) throw new UsageError('docker-plugin serves one driver; name it with --driver')
  requireServing(invocation, 'docker-plugin', 'dockerd')
  const definition = await loadDriver(driver)
  const { name = `graphdriver-${definition.name}` } = flags
  // Where dockerd looks for a plugin by its name.
  const { socket = `/run/docker/plugins/${name}.sock` } = flags
  const onFailure = (call: string, error: unknown): void => {
    if (!signal.aborted) log.warn(`${call}: ${describeFailure(error, settings).message}`)
  }
  await using _ = await servePlugin({ definition, driverOptions, socket, onFailure })
  output.result(
    { driver: definition.name, name, socket },
    () =>
      `${definition.name} is served at ${socket}; start dockerd --experimental --storage-driver ${name}\n`,
  )
  await untilEnded(signal)
}
